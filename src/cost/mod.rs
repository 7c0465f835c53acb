//! Measures the cost of attached programs per system call, for several cases in turns on this machine.
//!
//! * `baselines`: programs that rawtp's cost is compared with
//! * `syscall_loop`: the thread whose calls are timed
#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a few rounds, and figures of a few digits")]

pub mod baselines;
pub mod syscall_loop;

use std::thread;
use std::time::{Duration, Instant};

use crate::cost::syscall_loop::{Samples, SyscallLoop};
use crate::error::Error;

/// With fewer rounds a spread means nothing.
const ROUNDS_LEAST: usize = 3;
/// The time that the drain thread lets records gather.
const GATHER: Duration = Duration::from_millis(1);

/// A case to measure, which can be attached any number of times.
pub trait Case<E> {
    /// Attaches it.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    fn attach(&mut self) -> Result<(), E>;
    /// Discards the records so far. It is called about once a millisecond while calls are made.
    ///
    /// # Errors
    ///
    /// When the records cannot be read.
    fn discard(&mut self) -> Result<(), E>;
    /// Detaches it. Returns what it saw since it was attached.
    ///
    /// # Errors
    ///
    /// When that cannot be counted.
    fn detach(&mut self) -> Result<Observed, E>;
}

/// The work that a case has done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Calls that it reported.
    pub records: u64,
    /// Records that found no room. If there are any, it did less work.
    pub lost: u64,
}

/// Nothing attached, the base of all comparisons.
#[derive(Debug)]
pub struct Bare;

impl<E> Case<E> for Bare {
    fn attach(&mut self) -> Result<(), E> {
        Ok(())
    }
    fn discard(&mut self) -> Result<(), E> {
        Ok(())
    }
    fn detach(&mut self) -> Result<Observed, E> {
        Ok(Observed::default())
    }
}

/// The measurement of one case, with an entry of `samples` for each round.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Measurement {
    /// The times of the calls.
    pub samples: Vec<Samples>,
    /// The work that the case did, on these calls and others.
    pub seen: Observed,
}

/// Measures the cases in turns for about `seconds`, and for at least three rounds. Calls `check` between them.
///
/// # Errors
///
/// Those of the cases, of `check` and of [`SyscallLoop`].
pub fn measure<E: From<Error>>(
    cases: &mut [Box<dyn Case<E>>],
    seconds: Duration,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<Vec<Measurement>, E> {
    let syscall_loop = SyscallLoop::new()?;
    let mut found = vec![Measurement::default(); cases.len()];
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    for round in 0.. {
        let begin = Instant::now();
        if round >= ROUNDS_LEAST && start.elapsed() + longest > seconds {
            break;
        }
        for at in 0..cases.len() {
            // Each round begins with another case, so that none profits from its position.
            let at = (at + round) % cases.len();
            check()?;
            let case = &mut *cases[at];
            case.attach()?;
            found[at].samples.push(one(&syscall_loop, case)?);
            let seen = case.detach()?;
            found[at].seen.records += seen.records;
            found[at].seen.lost += seen.lost;
        }
        longest = longest.max(begin.elapsed());
    }
    Ok(found)
}

fn one<E: From<Error>>(syscall_loop: &SyscallLoop, case: &mut dyn Case<E>) -> Result<Samples, E> {
    let thread = syscall_loop.start()?;
    while !thread.is_finished() {
        thread::sleep(GATHER);
        case.discard()?;
    }
    match thread.join() {
        Ok(samples) => Ok(samples?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// An estimate from repeated measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The median.
    pub ns: f64,
    /// The distance between the quartiles, within which half of the values lie.
    pub spread_ns: f64,
    /// The cost relative to the base. It is the median of the rounds' ratios, because a disturbance hits both in a
    /// round.
    pub ratio: f64,
}

impl Estimate {
    /// Estimates from values and their base's, one of each per round. `None` when there are none.
    #[must_use]
    pub fn from_samples(values: &[f64], base: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = values.iter().zip(base).map(|(value, base)| value / base).collect();
        Some(Self {
            ns: quantile(values, 0.5)?,
            spread_ns: quantile(values, 0.75)? - quantile(values, 0.25)?,
            ratio: quantile(&ratios, 0.5)?,
        })
    }
}

/// Returns the value below which this part of the values lies. Between two values it interpolates linearly.
fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut ordered = values.to_vec();
    ordered.sort_by(f64::total_cmp);
    let position = part * ordered.len().checked_sub(1)? as f64;
    let (low, high) = (ordered[position.floor() as usize], ordered[position.ceil() as usize]);
    Some(low + (high - low) * position.fract())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn estimates() {
        assert_eq!(
            Estimate::from_samples(&[4.0, 1.0, 3.0, 2.0, 100.0], &[2.0, 1.0, 1.0, 1.0, 10.0]),
            Some(Estimate { ns: 3.0, spread_ns: 2.0, ratio: 2.0 })
        );
        assert_eq!(
            Estimate::from_samples(&[10.0, 20.0], &[10.0, 10.0]),
            Some(Estimate { ns: 15.0, spread_ns: 5.0, ratio: 1.5 })
        );
        assert_eq!(Estimate::from_samples(&[7.0], &[7.0]), Some(Estimate { ns: 7.0, spread_ns: 0.0, ratio: 1.0 }));
        assert_eq!(Estimate::from_samples(&[], &[]), None);
    }

    struct Recorded(&'static str, Rc<RefCell<Vec<String>>>);

    impl Case<Error> for Recorded {
        fn attach(&mut self) -> Result<(), Error> {
            self.1.borrow_mut().push(format!("+{}", self.0));
            Ok(())
        }
        fn discard(&mut self) -> Result<(), Error> {
            Ok(())
        }
        fn detach(&mut self) -> Result<Observed, Error> {
            self.1.borrow_mut().push(format!("-{}", self.0));
            Ok(Observed { records: 10, lost: 2 })
        }
    }

    #[test]
    fn cases_take_turns_one_at_a_time() {
        let log = Rc::default();
        let mut cases: Vec<Box<dyn Case<Error>>> =
            vec![Box::new(Bare), Box::new(Recorded("a", Rc::clone(&log))), Box::new(Recorded("b", Rc::clone(&log)))];
        let mut checks = 0;
        let found = measure(&mut cases, Duration::ZERO, || {
            checks += 1;
            Ok(())
        });
        let found = found.unwrap();
        let each: Vec<_> = found.iter().map(|case| (case.samples.len(), case.seen.records, case.seen.lost)).collect();
        assert_eq!(each, [(3, 0, 0), (3, 30, 6), (3, 30, 6)]);
        assert_eq!(log.borrow().join(" "), "+a -a +b -b +a -a +b -b +b -b +a -a");
        assert_eq!(checks, 9);
    }

    #[test]
    fn a_check_can_end_the_measurement() {
        let mut left = 4;
        let ended = measure(&mut [Box::new(Bare) as Box<dyn Case<Error>>], Duration::from_secs(3600), || {
            left -= 1;
            if left == 0 { Err(Error::Value("enough".into())) } else { Ok(()) }
        });
        assert_eq!(ended.unwrap_err().to_string(), "enough");
    }
}
