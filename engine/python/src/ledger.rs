//! The ledger on its way into Python.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use vitald_core::accounts::{Ledger, RejectedLine, Traffic};

/// `vitald.aggregator.interval.Ledger`.
pub(crate) fn ledger<'py>(py: Python<'py>, ledger: &Ledger) -> PyResult<Bound<'py, PyAny>> {
    let traffic = || ledger.listeners.iter().map(|(_, traffic)| traffic);
    let made = PyDict::new(py);
    made.set_item("datagrams_received", traffic().map(|each| each.datagrams).sum::<u64>())?;
    made.set_item("bytes_received", traffic().map(|each| each.bytes).sum::<u64>())?;
    made.set_item("kernel_dropped", traffic().filter_map(|each| each.kernel_dropped).sum::<u64>())?;
    made.set_item("lines", ledger.lines)?;
    made.set_item("internal_lines", ledger.internal_lines)?;
    made.set_item("values", ledger.values)?;
    made.set_item("aggregated", ledger.aggregated)?;
    made.set_item("rejected", counts(py, &ledger.rejected)?)?;
    made.set_item("shed", counts(py, &ledger.shed)?)?;
    made.set_item("notes", counts(py, &ledger.notes)?)?;
    made.set_item("late", ledger.late)?;
    made.set_item("events", ledger.events)?;
    made.set_item("service_checks", ledger.service_checks)?;
    made.set_item("series_active", ledger.series_active)?;
    made.set_item("series_limit", ledger.series_limit)?;
    made.set_item("series_overflowed", ledger.series_overflowed)?;
    made.set_item("listeners", listeners(py, &ledger.listeners)?)?;
    let rejected = ledger.last_rejected.iter().map(|line| rejected_line(py, line));
    made.set_item("last_rejected", rejected.collect::<PyResult<Vec<_>>>()?)?;
    made.set_item("client_reported", &ledger.client_reported)?;
    py.import("vitald.aggregator.interval")?.getattr("Ledger")?.call((), Some(&made))
}

fn counts<'py>(py: Python<'py>, counts: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let made = PyDict::new(py);
    for (name, count) in counts {
        made.set_item(name, count)?;
    }
    Ok(made)
}

fn listeners<'py>(
    py: Python<'py>,
    listeners: &[(String, Traffic)],
) -> PyResult<Bound<'py, PyDict>> {
    let made = PyDict::new(py);
    for (label, traffic) in listeners {
        let entry = PyDict::new(py);
        entry.set_item("datagrams", traffic.datagrams)?;
        entry.set_item("bytes", traffic.bytes)?;
        entry.set_item("kernel_dropped", traffic.kernel_dropped)?;
        entry.set_item("errors", traffic.errors)?;
        made.set_item(label, entry)?;
    }
    Ok(made)
}

fn rejected_line<'py>(py: Python<'py>, rejected: &RejectedLine) -> PyResult<Bound<'py, PyDict>> {
    let made = PyDict::new(py);
    let line = PyBytes::new(py, &rejected.line);
    made.set_item("line", line.call_method1("decode", ("utf-8", "backslashreplace"))?)?;
    made.set_item("reason", rejected.reason.as_str())?;
    made.set_item("times", rejected.times)?;
    Ok(made)
}
