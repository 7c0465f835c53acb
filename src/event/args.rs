//! The arguments of an event's call: `args`.

use crate::event::Event;
use crate::record::segments::{Name, NameStatus};
use crate::skel::types::via;
use crate::syscall::arguments::{
    Argument, ArgumentValue, Copied, CopyStatus, Count, Kind, Place, arguments_of, decode,
};

/// The names of the arguments of a call that the table does not have.
const UNNAMED: [&str; 6] = ["a1", "a2", "a3", "a4", "a5", "a6"];

/// The arguments of a call.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    event: &'a Event<'a>,
    registers: [u64; 6],
}

impl PartialEq for Args<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.event, other.event)
    }
}

impl Eq for Args<'_> {}

fn copied(name: Name<'_>) -> Copied<'_> {
    let status = match name.status {
        NameStatus::Ok => CopyStatus::Whole,
        NameStatus::Truncated => CopyStatus::Truncated,
        NameStatus::Fault => CopyStatus::Fault,
    };
    Copied { bytes: name.bytes, status }
}

/// Cuts an address off at the room that the caller had for it: what lies behind is something else.
fn bounded<'a>(name: Name<'a>, argument: &Argument, entry: &[Option<Name<'_>>; 6]) -> Name<'a> {
    let (Count::At(register), Place::Out(_)) = (argument.count, argument.place) else { return name };
    let room = entry.get(usize::from(register)).copied().flatten().and_then(|count| count.bytes.first_chunk());
    let room = room.map_or(0, |room| u32::from_ne_bytes(*room) as usize);
    Name { bytes: name.bytes.get(..room).unwrap_or(name.bytes), ..name }
}

impl<'a> Args<'a> {
    /// Returns the arguments of an event; `None` where its record has none: a request's, or one of a kernel thread.
    #[must_use]
    pub fn of(event: &'a Event<'a>) -> Option<Self> {
        let is_call = via(event.enter.record.via.into()) == via::VIA_SYSCALL;
        let registers = event.enter.segments.arguments().registers.filter(|_| is_call)?;
        Some(Self { event, registers })
    }

    /// Calls `take` with the name and the value of each argument, in the order of the call.
    ///
    /// # Errors
    ///
    /// The first error of `take`.
    pub fn each<E>(self, mut take: impl FnMut(&'static str, ArgumentValue<'_>) -> Result<(), E>) -> Result<(), E> {
        let Self { event, registers } = self;
        let Some(known) = event.syscall().and_then(|name| arguments_of(name, event.abi())) else {
            return UNNAMED
                .into_iter()
                .zip(registers)
                .try_for_each(|(name, value)| take(name, ArgumentValue::Uint(value)));
        };
        let entry = event.enter.segments.arguments().pointed;
        let exit = event.exit.map_or([None; 6], |exit| exit.segments().arguments().pointed);
        for argument in known.iter() {
            let at = usize::from(argument.register);
            let [entered, left] = [entry, exit].map(|pointed| pointed.get(at).copied().flatten());
            let is_read = |name: &Name<'_>| name.status != NameStatus::Fault;
            // What the call takes is as it was at the entry, if it could be read there: meanwhile others can change it.
            let of_entry = entered.filter(|name| is_read(name) && !matches!(argument.place, Place::Out(_)));
            // What it gives, and what it has faulted in, came later.
            let pointed = of_entry.or(left.filter(is_read)).or(entered).or(left);
            let pointed = pointed.or_else(|| self.name_at(argument)).map(|name| bounded(name, argument, &entry));
            take(argument.name, decode(argument, &registers, event.abi(), pointed.map(copied), event.ret()))?;
        }
        Ok(())
    }

    /// The name in this register, which came as one of the event's.
    fn name_at(self, argument: &Argument) -> Option<Name<'a>> {
        let shape = &self.event.call()?.shape;
        let position = argument.register + 1;
        match argument.kind {
            Kind::Path | Kind::Text if position == shape.path => self.event.filename(),
            Kind::Path | Kind::Text if position == shape.new_path => self.event.new_filename(),
            _ => None,
        }
    }
}
