use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::Counter;
use shared::time::{Clock, Timestamp};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use uuid::Uuid;

use super::What;

/// Spans that wait to be sent, at most; they are a few hundred bytes each.
const QUEUE: usize = 8192;

/// What is told to the collector, if there is one; cheap to clone.
#[derive(Clone, Default)]
pub struct Spans(Option<Arc<Queue>>);

struct Queue {
    clock: Clock,
    waiting: Sender<Span>,
    /// For the one task that sends them.
    taken: Mutex<Option<Receiver<Span>>>,
    dropped: Counter,
}

/// A span of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace: Uuid,
    /// The span, not zero.
    pub span: u64,
}

/// One thing that was done.
pub(super) struct Span {
    pub at: Place,
    /// The span that caused it, in the same trace.
    pub parent: Option<u64>,
    /// A span that tells of the same thing in another trace.
    pub link: Option<Place>,
    pub start: Timestamp,
    pub took: Duration,
    pub what: What,
}

/// Something that is being done.
pub struct Open {
    queue: Arc<Queue>,
    at: Place,
    parent: Option<u64>,
    start: Timestamp,
    began: Instant,
}

impl Spans {
    /// A queue, for a collector.
    pub fn on(clock: &Clock) -> Self {
        Self::with(QUEUE, clock)
    }

    fn with(limit: usize, clock: &Clock) -> Self {
        let (waiting, taken) = channel(limit);
        let (taken, dropped) = (Mutex::new(Some(taken)), super::export::dropped());
        Self(Some(Arc::new(Queue { clock: clock.clone(), waiting, taken, dropped })))
    }

    /// Begins a span of a trace, caused by another of its spans; `None` without a collector.
    pub fn begin(&self, trace: Uuid, parent: Option<u64>) -> Option<Open> {
        let queue = self.0.clone()?;
        let (at, start) = (Place { trace, span: fresh() }, queue.clock.wall());
        Some(Open { queue, at, parent, start, began: Instant::now() })
    }

    /// What is in the queue, for the first who asks.
    pub(super) fn take(&self) -> Option<Receiver<Span>> {
        self.0.as_ref()?.taken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Open {
    /// Where it is.
    pub fn at(&self) -> Place {
        self.at
    }

    /// It is done.
    pub fn end(self, what: What) {
        self.end_in([], what);
    }

    /// It is done, and other traces are told of it too, once each.
    pub fn end_in(self, others: impl IntoIterator<Item = Uuid>, what: What) {
        let Self { queue, at, parent, start, began } = self;
        let took = began.elapsed();
        let mut told = HashSet::from([at.trace, Uuid::nil()]);
        for trace in others.into_iter().filter(|trace| told.insert(*trace)) {
            let at = Place { trace, span: fresh() };
            let what = what.clone();
            queue.push(Span { at, parent: None, link: Some(self.at), start, took, what });
        }
        queue.push(Span { at, parent, link: None, start, took, what });
    }
}

impl Queue {
    fn push(&self, span: Span) {
        if self.waiting.try_send(span).is_err() {
            self.dropped.increment(1);
        }
    }
}

/// The id of a new span.
fn fresh() -> u64 {
    rand::random_range(1..=u64::MAX)
}

#[cfg(test)]
mod tests {
    use shared::address::AppName;

    use super::*;

    fn what() -> What {
        let peer: AppName = "app-b".parse().unwrap();
        What::Sent { peer, events: 2, failure: None }
    }

    #[test]
    fn without_a_collector_nothing_is_made() {
        assert!(Spans::default().begin(Uuid::max(), None).is_none());
        assert!(Spans::default().take().is_none());
    }

    #[test]
    fn a_full_queue_takes_no_more_and_holds_nobody_up() {
        let spans = Spans::with(2, &Clock::system());
        let mut taken = spans.take().unwrap();
        assert!(spans.take().is_none(), "there is one who sends them");
        for _ in 0..5 {
            spans.begin(Uuid::max(), None).unwrap().end(what());
        }
        assert_eq!(std::iter::from_fn(|| taken.try_recv().ok()).count(), 2);
        // There is room again.
        spans.begin(Uuid::max(), Some(7)).unwrap().end(what());
        assert_eq!(taken.try_recv().unwrap().parent, Some(7));
    }

    #[test]
    fn other_traces_are_told_once_each_with_a_link() {
        let spans = Spans::with(9, &Clock::system());
        let mut taken = spans.take().unwrap();
        let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let open = spans.begin(own, None).unwrap();
        let at = open.at();
        open.end_in([own, other, Uuid::nil(), other], what());
        let told: Vec<_> = std::iter::from_fn(|| taken.try_recv().ok()).collect();
        let told: Vec<_> = told.iter().map(|span| (span.at.trace, span.link)).collect();
        assert_eq!(told, [(other, Some(at)), (own, None)]);
    }
}
