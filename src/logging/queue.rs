//! Lines on their way to a reader that may be slow, or not read at all: whoever writes them never waits for it.
//!
//! One thread writes, from a queue of bounded size. What does not fit is lost, and how much that was is said when
//! there is room again. Lines keep their order. To wake that thread costs whoever writes more than anything else about a
//! line, so lines that come close behind one another go out together.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Some thousand lines. As many again can be on their way.
const MAX_BYTES: usize = 1 << 20;

/// How much room is kept for lines to come.
const KEPT: usize = 16 << 10;

/// How long the writer, once woken, lets lines come together.
const GATHER: Duration = Duration::from_millis(5);

/// What the writer is at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// It sleeps until a line wakes it.
    #[default]
    Asleep,
    /// It takes whatever is waiting, in a moment.
    Awake,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that did not fit since that was last said.
    lost: u64,
    writer: Writer,
    /// Somebody waits for the last line.
    draining: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// Nothing is done under this lock that can fail half way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue; each clone is of the same.
#[derive(Debug, Clone)]
pub(super) struct Queue(Arc<Shared>);

impl Queue {
    /// A queue whose lines are written to `to`, and what `lost` says where some were lost. What cannot be written is lost
    /// without a word, there being nobody to hear it.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(
        mut to: impl Write + Send + 'static,
        lost: impl Fn(u64) -> String + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let queue = Self(Arc::clone(&shared));
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut bytes = Vec::new();
            loop {
                let number = take(&shared, &mut bytes);
                let written = to.write_all(&bytes).and_then(|()| match number {
                    0 => Ok(()),
                    number => to.write_all(lost(number).as_bytes()),
                });
                drop(written.and_then(|()| to.flush()));
            }
        })?;
        Ok(queue)
    }

    /// Waits until every line is written, or for `limit`.
    pub(super) fn drain(&self, limit: Duration) {
        let mut state = self.0.lock();
        state.draining = true;
        self.0.changed.notify_all();
        let busy = |state: &mut State| state.writer == Writer::Awake || !state.is_empty();
        drop(self.0.changed.wait_timeout_while(state, limit, busy));
    }
}

/// Waits for the next bytes to write, which take the place of those in `bytes`; how many lines were lost behind them.
fn take(shared: &Shared, bytes: &mut Vec<u8>) -> u64 {
    let mut state = shared.lock();
    if state.is_empty() {
        state.writer = Writer::Asleep;
        if state.draining {
            shared.changed.notify_all();
        }
        let empty = |state: &mut State| state.is_empty();
        state = shared.changed.wait_while(state, empty).unwrap_or_else(PoisonError::into_inner);
        state.writer = Writer::Awake;
        let waits = |state: &mut State| !state.draining;
        (state, _) = shared.changed.wait_timeout_while(state, GATHER, waits).unwrap_or_else(PoisonError::into_inner);
    }
    // What a burst has needed is not kept.
    if bytes.capacity() > KEPT {
        *bytes = Vec::new();
    }
    bytes.clear();
    std::mem::swap(&mut state.waiting, bytes);
    std::mem::take(&mut state.lost)
}

impl Write for Queue {
    /// Takes a whole line, or loses it.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut state = self.0.lock();
        // Behind lost lines nothing is taken until that is said, so that it is said in its place.
        if state.lost > 0 || state.waiting.len() + line.len() > MAX_BYTES {
            state.lost += 1;
        } else {
            state.waiting.extend_from_slice(line);
        }
        // Whoever comes next while the writer wakes need not wake it again.
        let wake = std::mem::replace(&mut state.writer, Writer::Awake) == Writer::Asleep;
        drop(state);
        if wake {
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn nobody_waits_for_a_reader_and_what_was_lost_is_said_in_its_place() {
        let (reader, writer) = std::io::pipe().expect("pipe");
        let mut queue = Queue::start(writer, |number| format!("lost {number}\n")).expect("start");
        let line = |number: usize| format!("{number:0>1023}\n");
        // The pipe and both halves of the queue hold less than these.
        let all = 4 * MAX_BYTES / 1024;
        for number in 0..all {
            queue.write_all(line(number).as_bytes()).expect("never fails");
        }
        queue.drain(Duration::from_millis(10));
        let mut lines = BufReader::new(reader).lines().map(|line| line.expect("read"));
        let (mut next, mut kept) = (0, 0);
        while next < all {
            let text = lines.next().expect("there is more");
            match text.strip_prefix("lost ") {
                Some(number) => next += number.parse::<usize>().expect("a number"),
                None => {
                    assert_eq!(text + "\n", line(next));
                    (next, kept) = (next + 1, kept + 1);
                }
            }
        }
        assert!((MAX_BYTES / 1024..all).contains(&kept), "{kept} of {all}");
        // There is room again.
        queue.write_all(b"after\n").expect("never fails");
        assert_eq!(lines.next().as_deref(), Some("after"));
        queue.drain(Duration::from_secs(10));
    }
}
