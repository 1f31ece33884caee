//! The module `vitald._native`: `vitald_core` as `vitald.aggregator.native_engine` calls it.
//!
//! Nothing is decided here. What may take long runs without the GIL, what crosses into Python does
//! so in batches, and a panic of the engine becomes an exception.
#![allow(
    clippy::needless_pass_by_value,
    reason = "what comes from Python is converted, and the functions that Python calls own it"
)]

mod convert;
mod engine;
mod gil;
mod histogram;
mod ledger;
mod rows;

use pyo3::prelude::*;

/// The native engine.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::engine::{Engine, WindowError};
    #[pymodule_export]
    use super::histogram::Histogram;
    #[pymodule_export]
    use super::rows::{Answer, Interval};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Compared with Python's side, because an editable install can bring the two apart.
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
