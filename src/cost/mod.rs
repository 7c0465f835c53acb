//! What a system call pays for what is attached: cases in turns, on this machine.
#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a few rounds, and figures of a few digits")]

pub mod baselines;
pub mod syscall_loop;

use std::thread;
use std::time::{Duration, Instant};

use crate::cost::syscall_loop::{Samples, SyscallLoop};
use crate::error::Error;

/// With fewer there is no spread to speak of.
const ROUNDS_LEAST: usize = 3;
/// As long as records gather for the drain thread, too.
const GATHER: Duration = Duration::from_millis(1);

/// Something that can be attached, again and again.
pub trait Case<E> {
    /// Attaches it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn attach(&mut self) -> Result<(), E>;
    /// Throws away what has come to it so far. Called about once a millisecond while calls are made.
    ///
    /// # Errors
    ///
    /// When what came cannot be read.
    fn discard(&mut self) -> Result<(), E>;
    /// Detaches it. Gives what it saw since it was attached.
    ///
    /// # Errors
    ///
    /// When that cannot be counted.
    fn detach(&mut self) -> Result<Observed, E>;
}

/// Whether it did its work.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Calls that were reported.
    pub records: u64,
    /// Records that found no room: with any, less work was done.
    pub lost: u64,
}

/// Bare attached: what all others are compared with.
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

/// One case: an entry of `slices` for each round.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Measurement {
    /// What the calls took.
    pub slices: Vec<Samples>,
    /// What it saw of them, and of others.
    pub seen: Observed,
}

/// Measures the cases in turns for about `seconds`, and for three rounds at the least. `check` is called between them.
///
/// # Errors
///
/// Those of the cases, of `check` and of [`SyscallLoop`].
pub fn measure<E: From<Error>>(
    cases: &mut [Box<dyn Case<E>>],
    seconds: Duration,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<Vec<Measurement>, E> {
    let caller = SyscallLoop::new()?;
    let mut found = vec![Measurement::default(); cases.len()];
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    for round in 0.. {
        let begin = Instant::now();
        if round >= ROUNDS_LEAST && start.elapsed() + longest > seconds {
            break;
        }
        for at in 0..cases.len() {
            // Each round begins with another one: none profits from its place.
            let at = (at + round) % cases.len();
            check()?;
            let case = &mut *cases[at];
            case.attach()?;
            found[at].slices.push(one(&caller, case)?);
            let seen = case.detach()?;
            found[at].seen.records += seen.records;
            found[at].seen.lost += seen.lost;
        }
        longest = longest.max(begin.elapsed());
    }
    Ok(found)
}

fn one<E: From<Error>>(caller: &SyscallLoop, case: &mut dyn Case<E>) -> Result<Samples, E> {
    let thread = caller.start()?;
    while !thread.is_finished() {
        thread::sleep(GATHER);
        case.discard()?;
    }
    match thread.join() {
        Ok(slices) => Ok(slices?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// What repeated measurements say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The median.
    pub ns: f64,
    /// The distance between the quartiles: half of the values lie within it.
    pub spread_ns: f64,
    /// How often the base: the median of the rounds' ratios, since what disturbs a round disturbs both.
    pub ratio: f64,
}

impl Estimate {
    /// Of values and their base's, one of each a round. `None` when there are none.
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

/// The value below which that part of the values lies: between two of them on the straight line from one to the other.
fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut ordered = values.to_vec();
    ordered.sort_by(f64::total_cmp);
    let place = part * ordered.len().checked_sub(1)? as f64;
    let (low, high) = (ordered[place.floor() as usize], ordered[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn figures() {
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

    struct Told(&'static str, Rc<RefCell<Vec<String>>>);

    impl Case<Error> for Told {
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
    fn in_turns_and_one_at_a_time() {
        let told = Rc::default();
        let mut cases: Vec<Box<dyn Case<Error>>> =
            vec![Box::new(Bare), Box::new(Told("a", Rc::clone(&told))), Box::new(Told("b", Rc::clone(&told)))];
        let mut checks = 0;
        let found = measure(&mut cases, Duration::ZERO, || {
            checks += 1;
            Ok(())
        });
        let found = found.unwrap();
        let each: Vec<_> = found.iter().map(|case| (case.slices.len(), case.seen.records, case.seen.lost)).collect();
        assert_eq!(each, [(3, 0, 0), (3, 30, 6), (3, 30, 6)]);
        assert_eq!(told.borrow().join(" "), "+a -a +b -b +a -a +b -b +b -b +a -a");
        assert_eq!(checks, 9);
    }

    #[test]
    fn whoever_checks_can_end_it() {
        let mut left = 4;
        let ended = measure(&mut [Box::new(Bare) as Box<dyn Case<Error>>], Duration::from_secs(3600), || {
            left -= 1;
            if left == 0 { Err(Error::Value("enough".into())) } else { Ok(()) }
        });
        assert_eq!(ended.unwrap_err().to_string(), "enough");
    }
}
