//! Whether berth is ready, in findings: it follows the session with the runtime both ways.

use super::session::Session;
use crate::decide::facts::Swap;
use crate::exit::chain;
use crate::finding::Finding;
use crate::metrics::table::{READY, REGISTERED, SYNCHRONIZED};
use crate::nri::{NriError, SessionState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether events are answered now: registered, synchronized, and pins reach the engine.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How far the session is; `None` without one.
    link: Option<SessionState>,
    /// What is so for it, from the handshake on.
    session: Option<Arc<Session>>,
    /// Why there is none, as far as that is known.
    trouble: Option<String>,
}

impl Readiness {
    /// Now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state().is_ready()
    }

    /// What makes it so, or not: the session, the full list, and the reach of pins. `socket` is where the runtime is met.
    #[must_use]
    pub fn findings(&self, socket: &str) -> Vec<Finding> {
        let state = self.state();
        let runtime = state.session.as_ref().map_or("the runtime", |session| &session.runtime);
        let registered = match (state.link, &state.trouble) {
            (Some(_), _) => Finding::pass(SESSION, format!("registered with {runtime}")),
            (None, trouble) => unregistered(socket, trouble.as_deref()),
        };
        let synchronized = match state.link {
            Some(SessionState::Synchronized) => Finding::pass(LIST, format!("{runtime} has told all its pods")),
            Some(_) => Finding::fail(LIST, format!("{runtime} has not told its pods yet"), WAIT),
            None => Finding::skip(LIST, "there is no session with the runtime"),
        };
        let reach = match &state.session {
            Some(session) => session.reaches(),
            None => Finding::skip(REACH, "the runtime has not introduced itself"),
        };
        vec![registered, synchronized, reach]
    }

    /// The runtime has introduced itself; that may be before the answer to the registration.
    pub(super) fn configured(&self, session: Arc<Session>) {
        self.state().session = Some(session);
    }

    /// Whether it is ready from now on.
    pub(super) fn follow(&self, link: SessionState) -> bool {
        let mut state = self.state();
        state.trouble = None;
        state.link = Some(link).filter(|link| *link != SessionState::Closed);
        if state.link.is_none() {
            state.session = None;
        }
        REGISTERED.set(&[], state.link.is_some().into());
        SYNCHRONIZED.set(&[], (state.link == Some(SessionState::Synchronized)).into());
        READY.set(&[], state.is_ready().into());
        state.is_ready()
    }

    pub(super) fn failed(&self, error: &NriError) {
        self.state().trouble = Some(chain(error));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_ready(&self) -> bool {
        let can_pin = self.session.as_ref().is_some_and(|session| session.can_pin());
        self.link == Some(SessionState::Synchronized) && can_pin
    }
}

/// The names of the findings.
const SESSION: &str = "nri-session";
const LIST: &str = "nri-synchronized";
/// What is said of the way from a pin to the engine.
pub const REACH: &str = "pins-reach-engine";

const WAIT: &str = "it does when the pod operations in progress have ended; if it never does, see its log";

fn unregistered(socket: &str, trouble: Option<&str>) -> Finding {
    let trouble = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
    let hint = format!(
        "see that the runtime runs and that its NRI is on, with its socket at {socket}: \
         `containerd config dump | grep -A 3 io.containerd.nri.v1.nri`, `crio status config | grep -A 3 nri`"
    );
    Finding::fail(SESSION, format!("not registered with the runtime at {socket}{trouble}"), hint)
}

/// Whether pins made by a daemon reach the engine, and whether that has any use for them. `words` say how.
#[must_use]
pub fn reaches(swap: Swap, words: &str) -> Finding {
    match swap {
        Swap::Possible => Finding::pass(REACH, format!("pins reach the engine: {words}")),
        Swap::PinsDoNotReach => Finding::fail(
            REACH,
            format!("pins do not reach the engine, so nothing is pinned or swapped: {words}"),
            "mount the netns directory with Bidirectional propagation",
        ),
        Swap::HostNotVisible => Finding::fail(
            REACH,
            "the host's network namespace cannot be told from a pod's, so nothing is pinned or swapped",
            "share the host's pid namespace, or mount its /proc and name it with --host-proc",
        ),
        Swap::RuntimeCannot => Finding::warn(
            REACH,
            "the runtime's NRI cannot change a network namespace, so members keep their path",
            "wrap the handler with an interposer, or upgrade to containerd 2.2 or CRI-O 1.34",
        ),
        Swap::NotPinned => Finding::warn(REACH, "the pod has no pin", "wrap its handler with an interposer"),
    }
}

/// The same where pins are made by interposers, which are where the engine is, and the daemon has to see them.
#[must_use]
pub(super) fn receives(swap: Swap, words: &str) -> Finding {
    match swap {
        Swap::PinsDoNotReach => Finding::fail(
            REACH,
            format!("pins that interposers make are not seen here, so nothing is swapped: {words}"),
            "mount the netns directory with HostToContainer propagation",
        ),
        Swap::Possible => Finding::pass(REACH, format!("interposers make the pins, which are seen here: {words}")),
        other => reaches(other, words),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;
    use crate::finding::Grade;

    fn grades(readiness: &Readiness) -> Vec<Grade> {
        readiness.findings("/run/nri.sock").iter().map(|finding| finding.grade).collect()
    }

    #[test]
    fn it_is_ready_while_a_session_is_synchronized_and_pins_reach_and_at_no_other_time() {
        let readiness = Readiness::default();
        let session =
            |swap| Arc::new(Session { swap, runtime: "containerd v2".into(), ..Session::none(&Place::default()) });
        assert_eq!(grades(&readiness), [Grade::Fail, Grade::Skip, Grade::Skip]);
        assert!(!readiness.follow(SessionState::Registered));
        assert_eq!(grades(&readiness), [Grade::Pass, Grade::Fail, Grade::Skip]);
        readiness.configured(session(Swap::Possible));
        assert_eq!(grades(&readiness), [Grade::Pass, Grade::Fail, Grade::Pass]);
        assert!(readiness.follow(SessionState::Synchronized));
        assert_eq!(grades(&readiness), [Grade::Pass; 3]);
        assert!(!readiness.follow(SessionState::Closed));
        assert_eq!(grades(&readiness), [Grade::Fail, Grade::Skip, Grade::Skip]);

        readiness.configured(session(Swap::RuntimeCannot));
        assert!(readiness.follow(SessionState::Synchronized));
        assert_eq!(grades(&readiness), [Grade::Pass, Grade::Pass, Grade::Warn]);
        for swap in [Swap::PinsDoNotReach, Swap::HostNotVisible] {
            readiness.configured(session(swap));
            assert!(!readiness.follow(SessionState::Synchronized));
            assert_eq!(grades(&readiness), [Grade::Pass, Grade::Pass, Grade::Fail]);
        }
    }

    #[test]
    fn what_failed_is_said_until_there_is_a_session() {
        let readiness = Readiness::default();
        readiness.failed(&NriError::Absent { path: "/run/nri.sock".into() });
        let said = readiness.findings("/run/nri.sock")[0].message.clone();
        assert!(said.starts_with("not registered with the runtime at /run/nri.sock: "), "{said}");
    }
}
