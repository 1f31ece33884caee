//! With the GIL, or leaving it to others while the engine works.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Do `work`, which is short, with the GIL; `task` says in an error what could not be done.
///
/// A panic becomes a `RuntimeError`: pyo3's own exception is no `Exception`, and would pass by those
/// who count, log and end in order.
pub(crate) fn locked<T>(task: &str, work: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let cause = cause(payload.as_ref());
        PyRuntimeError::new_err(format!("cannot {task}: the native engine failed: {cause}"))
    })
}

/// Do `work` without the GIL, like `locked` otherwise.
pub(crate) fn unlocked<T: Send>(
    py: Python<'_>,
    task: &str,
    work: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    py.detach(|| locked(task, work))
}

fn cause(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}
