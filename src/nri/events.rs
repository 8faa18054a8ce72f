//! The events a plugin can subscribe to, and sets of them.
//!
//! Owns the numbering (bit = event - 1). Promises that no set built here has a bit that is no
//! event. Does not know which runtime understands which event: see [`super::level`].

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// An event of the NRI, numbered as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Event {
    /// A pod sandbox has its namespaces; its containers come later.
    RunPodSandbox = 1,
    /// A pod sandbox is about to be stopped.
    StopPodSandbox = 2,
    /// A stopped pod sandbox is about to be removed.
    RemovePodSandbox = 3,
    /// A container is about to be created; the plugin may adjust it.
    CreateContainer = 4,
    /// A container was created.
    PostCreateContainer = 5,
    /// A container is about to be started.
    StartContainer = 6,
    /// A container was started.
    PostStartContainer = 7,
    /// The resources of a container are about to change.
    UpdateContainer = 8,
    /// The resources of a container changed.
    PostUpdateContainer = 9,
    /// A container was stopped.
    StopContainer = 10,
    /// A container is about to be removed.
    RemoveContainer = 11,
    /// The resources of a pod are about to change.
    UpdatePodSandbox = 12,
    /// The resources of a pod changed.
    PostUpdatePodSandbox = 13,
    /// All plugins have adjusted a container; the plugin may refuse the result.
    ValidateContainerAdjustment = 14,
}

impl Event {
    /// Every event, in the order of the wire numbers.
    pub const ALL: [Self; 14] = [
        Self::RunPodSandbox,
        Self::StopPodSandbox,
        Self::RemovePodSandbox,
        Self::CreateContainer,
        Self::PostCreateContainer,
        Self::StartContainer,
        Self::PostStartContainer,
        Self::UpdateContainer,
        Self::PostUpdateContainer,
        Self::StopContainer,
        Self::RemoveContainer,
        Self::UpdatePodSandbox,
        Self::PostUpdatePodSandbox,
        Self::ValidateContainerAdjustment,
    ];

    /// The event with this wire number. `None` also for 0 and for LAST, which are no events.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.number() == number)
    }

    /// The wire number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The name of the RPC, which is also what logs and errors call the event.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunPodSandbox => "RunPodSandbox",
            Self::StopPodSandbox => "StopPodSandbox",
            Self::RemovePodSandbox => "RemovePodSandbox",
            Self::CreateContainer => "CreateContainer",
            Self::PostCreateContainer => "PostCreateContainer",
            Self::StartContainer => "StartContainer",
            Self::PostStartContainer => "PostStartContainer",
            Self::UpdateContainer => "UpdateContainer",
            Self::PostUpdateContainer => "PostUpdateContainer",
            Self::StopContainer => "StopContainer",
            Self::RemoveContainer => "RemoveContainer",
            Self::UpdatePodSandbox => "UpdatePodSandbox",
            Self::PostUpdatePodSandbox => "PostUpdatePodSandbox",
            Self::ValidateContainerAdjustment => "ValidateContainerAdjustment",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of events.
///
/// The empty set exists, but is never sent: on the wire it means every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventMask(i32);

impl EventMask {
    /// No event.
    pub const EMPTY: Self = Self(0);

    /// The set of these events.
    #[must_use]
    pub const fn of(events: &[Event]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < events.len() {
            bits |= 1 << (events[index].number() - 1);
            index += 1;
        }
        Self(bits)
    }

    /// The events numbered from 1 up to and including `last`.
    #[must_use]
    pub const fn up_to(last: Event) -> Self {
        Self((1 << last.number()) - 1)
    }

    /// The wire form.
    #[must_use]
    pub const fn bits(self) -> i32 {
        self.0
    }

    /// Whether there is no event in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the event is in the set.
    #[must_use]
    pub const fn contains(self, event: Event) -> bool {
        self.0 & Self::of(&[event]).0 != 0
    }

    /// The events of this set that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The events of the set, ascending.
    pub fn iter(self) -> impl Iterator<Item = Event> {
        Event::ALL.into_iter().filter(move |event| self.contains(*event))
    }
}

impl BitOr for EventMask {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for EventMask {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for EventMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, event) in self.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{event}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_bit_below_its_number() {
        for event in Event::ALL {
            assert_eq!(EventMask::of(&[event]).bits(), 1 << (event.number() - 1), "{event}");
            assert_eq!(Event::from_number(event.number()), Some(event));
        }
    }

    #[test]
    fn zero_and_last_are_no_events() {
        for number in [i32::MIN, -1, 0, 15, 16, i32::MAX] {
            assert_eq!(Event::from_number(number), None, "{number}");
        }
    }

    #[test]
    fn the_valid_sets_of_the_library_versions() {
        assert_eq!(EventMask::up_to(Event::RemoveContainer).bits(), 0x7ff);
        assert_eq!(EventMask::up_to(Event::PostUpdatePodSandbox).bits(), 0x1fff);
        assert_eq!(EventMask::up_to(Event::ValidateContainerAdjustment).bits(), 0x3fff);
    }

    #[test]
    fn sets_are_printed_by_name() {
        let mask = EventMask::of(&[Event::CreateContainer, Event::RunPodSandbox]);
        assert_eq!(mask.to_string(), "RunPodSandbox,CreateContainer");
        assert_eq!(EventMask::EMPTY.to_string(), "none");
    }
}
