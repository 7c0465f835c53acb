//! The ids of the containers that recorded events are of, for whoever knows their names.

use std::collections::HashSet;
use std::mem::take;
use std::time::{Duration, Instant};

use arrow_array::{Array, RecordBatch};

use crate::history::schema::texts;

/// The ids of a container and of its pod.
pub type Ids = (Option<String>, Option<String>);

/// The ids that are remembered, and those that wait to be taken.
const KNOWN: usize = 16_384;
const WAITING: usize = 1024;

/// The time after which all are told again, so that what is written of them tells until when there were events.
const AGAIN: Duration = Duration::from_secs(86_400);

/// Tells each container once a day.
#[derive(Debug)]
pub(crate) struct Containers {
    known: HashSet<Ids>,
    waiting: Vec<Ids>,
    since: Instant,
}

impl Containers {
    pub(crate) fn new() -> Self {
        Self { known: HashSet::new(), waiting: Vec::new(), since: Instant::now() }
    }

    /// Notes the containers of these events. What finds no room is noted with a later event.
    pub(crate) fn see(&mut self, batch: &RecordBatch) {
        let (Some(containers), Some(pods)) = (texts(batch, "container_id"), texts(batch, "pod_id")) else { return };
        if containers.null_count() == batch.num_rows() && pods.null_count() == batch.num_rows() {
            return;
        }
        if self.known.len() >= KNOWN || self.since.elapsed() >= AGAIN {
            self.known.clear();
            self.since = Instant::now();
        }
        let mut last = (None, None);
        for row_ids in containers.iter().zip(pods) {
            if row_ids == last || row_ids == (None, None) {
                continue;
            }
            last = row_ids;
            let ids = (row_ids.0.map(str::to_owned), row_ids.1.map(str::to_owned));
            if !self.known.contains(&ids) && self.waiting.len() < WAITING {
                self.known.insert(ids.clone());
                self.waiting.push(ids);
            }
        }
    }

    /// Takes those that are new.
    pub(crate) fn take(&mut self) -> Vec<Ids> {
        take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch(ids: &[(Option<&str>, Option<&str>)]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 2] = [
            ("container_id", Arc::new(ids.iter().map(|(id, _)| *id).collect::<StringArray>())),
            ("pod_id", Arc::new(ids.iter().map(|(_, pod)| *pod).collect::<StringArray>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    fn owned(ids: &[(Option<&str>, Option<&str>)]) -> Vec<Ids> {
        ids.iter().map(|(id, pod)| (id.map(str::to_owned), pod.map(str::to_owned))).collect()
    }

    #[test]
    fn each_is_told_once() {
        let mut containers = Containers::new();
        let (a, b, pod, none) = ((Some("a"), None), (Some("b"), Some("p")), (None, Some("p")), (None, None));
        containers.see(&batch(&[none, a, a, b, a, none, pod]));
        assert_eq!(containers.take(), owned(&[a, b, pod]));
        containers.see(&batch(&[b, a, (Some("c"), None)]));
        assert_eq!(containers.take(), owned(&[(Some("c"), None)]));
        containers.see(&batch(&[none, none]));
        let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        containers.see(&RecordBatch::try_from_iter([("ts_ns", other)]).unwrap());
        assert_eq!(containers.take(), []);
        containers.since -= AGAIN;
        containers.see(&batch(&[a]));
        assert_eq!(containers.take(), owned(&[a]));
    }

    #[test]
    fn what_finds_no_room_comes_later() {
        let mut containers = Containers::new();
        let names: Vec<String> = (0..WAITING + 10).map(|number| number.to_string()).collect();
        let ids: Vec<_> = names.iter().map(|name| (Some(name.as_str()), None)).collect();
        containers.see(&batch(&ids));
        assert_eq!(containers.take(), owned(&ids[..WAITING]));
        containers.see(&batch(&ids));
        assert_eq!(containers.take(), owned(&ids[WAITING..]));
    }
}
