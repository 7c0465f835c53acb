//! [`cost`](crate::cost) for Python.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::cost::baselines::{Baseline, BaselineKind, others};
use crate::cost::syscall_loop::Samples;
use crate::cost::{self, Bare, Case, Estimate, Measurement, Observed};
use crate::py::args::refused;
use crate::py::tracer::Tracer;

const MOST_S: f64 = 3600.0;

/// A tracer with the caller's options. Nobody reads it: its queue is emptied.
struct Traced {
    make: Py<PyAny>,
    tracer: Option<Py<Tracer>>,
}

impl Case<PyErr> for Traced {
    fn attach(&mut self) -> PyResult<()> {
        Python::attach(|py| {
            self.tracer = Some(self.make.bind(py).call0()?.cast_into::<Tracer>()?.unbind());
            Ok(())
        })
    }

    fn discard(&mut self) -> PyResult<()> {
        if let Some(tracer) = &self.tracer {
            let queue = tracer.get().feed.session.queue();
            while let Some(chunk) = queue.pop() {
                queue.give_spare(chunk);
            }
        }
        Ok(())
    }

    fn detach(&mut self) -> PyResult<Observed> {
        let Some(tracer) = self.tracer.take() else { return Ok(Observed::default()) };
        tracer.get().feed.session.close();
        let stats = tracer.get().feed.session.ledger();
        Ok(Observed {
            records: stats.matched.saturating_sub(stats.filtered + stats.lost_ring),
            lost: stats.lost_ring + stats.lost_exits,
        })
    }
}

/// `ns`, `spread_ns`, `ratio`.
type Numbers = Option<(f64, f64, f64)>;
/// Key, the call that does not match, the one that does, records, lost, the reason why there is nothing.
type Row = (&'static str, Numbers, Numbers, u64, u64, Option<String>);

fn row(key: &'static str, found: &Measurement, base: &Measurement) -> Row {
    let of = |call: fn(&Samples) -> f64| {
        let [values, base] = [found, base].map(|case| case.samples.iter().map(call).collect::<Vec<_>>());
        Estimate::from_samples(&values, &base).map(|figure| (figure.ns, figure.spread_ns, figure.ratio))
    };
    (key, of(|slices| slices.unmatched), of(|slices| slices.matched), found.seen.records, found.seen.lost, None)
}

fn rows(make: Py<PyAny>, seconds: Duration) -> PyResult<(usize, Vec<Row>)> {
    let mut cases: Vec<Box<dyn Case<PyErr>>> = vec![Box::new(Bare)];
    let mut keys = vec!["bare"];
    let mut absent = Vec::new();
    let compared = [
        ("empty", BaselineKind::Empty),
        ("guide_raw_tp", BaselineKind::GuideRawTp),
        ("guide_tracepoint", BaselineKind::GuideTracepoint),
    ];
    for (key, which) in compared {
        match Baseline::try_out(which) {
            Ok(compared) => {
                keys.push(key);
                cases.push(Box::new(compared));
            }
            Err(reason) => absent.push((key, None, None, 0, 0, Some(reason))),
        }
    }
    keys.push("rawtp");
    cases.push(Box::new(Traced { make, tracer: None }));
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime")]
    let check = || Python::attach(|py| py.check_signals());
    let found = cost::measure(&mut cases, seconds, check)?;
    let measured = keys.into_iter().zip(&found).map(|(key, case)| row(key, case, &found[0]));
    Ok((found[0].samples.len(), measured.chain(absent).collect()))
}

/// Measures what a call costs here. `make` makes the tracer that is measured. Gives the number of rounds, the rows, and
/// what else hooks system calls.
#[pyfunction]
#[pyo3(name = "_cost")]
pub(crate) fn measure(
    py: Python<'_>,
    seconds: &Bound<'_, PyAny>,
    make: Py<PyAny>,
) -> PyResult<(usize, Vec<Row>, Vec<String>)> {
    let wanted = format!("a number above 0 and at most {MOST_S}");
    let seconds: f64 = seconds.extract().map_err(|error| refused("seconds", &wanted, error, seconds))?;
    if !(seconds > 0.0 && seconds <= MOST_S) {
        return Err(PyValueError::new_err(format!("seconds must be {wanted}, not {seconds:?}")));
    }
    // What is wrong with the options or the host is said at once.
    let tracer = make.bind(py).call0()?.cast_into::<Tracer>()?.unbind();
    py.detach(|| tracer.get().feed.session.close());
    py.detach(|| {
        let mut hooks = others();
        let (rounds, rows) = rows(make, Duration::from_secs_f64(seconds))?;
        hooks.extend(others());
        hooks.sort();
        hooks.dedup();
        Ok((rounds, rows, hooks))
    })
}
