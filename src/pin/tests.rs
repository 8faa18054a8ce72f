//! Names cannot leave their directory.

use std::path::{Component, Path};

use proptest::prelude::*;

use super::{NameError, PinName};
use crate::identity::{Engine, IdError, SandboxId, Scope};

/// The name of the pin of an id that an engine could have made, in the CRI's scope or in another.
fn named(id: &str, scope: Option<&str>) -> Result<PinName, IdError> {
    let scope = scope.map_or_else(
        || Scope::cri(Engine::Containerd),
        |root| Scope { engine: Engine::Containerd, root: root.to_owned() },
    );
    SandboxId::try_from(id).map(|id| PinName::of(&scope, &id))
}

#[test]
fn what_could_escape_or_mislead_is_refused() {
    for id in ["/", "../x", "..", ".", ".hidden", "a/b", "a\0b", "a\nb", "-rf", "_x", "a b", "é", "a:b", "\u{202e}a"] {
        let file = format!("berth-{id}");
        assert!(matches!(PinName::parse(&file), Err(NameError::Id(IdError::BadCharacter { .. }))), "{id:?}");
    }
    assert!(PinName::parse(&format!("berth-{}", "a".repeat(300))).is_err());
    assert!(PinName::parse(&format!("berth-{}", "a".repeat(128))).is_ok());
}

#[test]
fn files_of_others_are_no_pins() {
    for file in ["cni-1", "berth", "Berth-a", "xberth-a", ""] {
        assert_eq!(PinName::parse(file), Err(NameError::Prefix(file.to_owned())));
    }
    assert_eq!(PinName::parse("berth-"), Err(NameError::Id(IdError::Empty { what: "pin id" })));
    assert!(PinName::parse("berth-../x").is_err());
}

proptest! {
    #[test]
    fn any_string_is_refused_or_one_component(id in any::<String>()) {
        if let Ok(name) = named(&id, None) {
            let path = Path::new("/d").join(name.as_str());
            prop_assert_eq!(path.components().count(), 3);
            prop_assert!(matches!(path.components().next_back(), Some(Component::Normal(_))));
            prop_assert!(name.as_str().len() <= 255 && name.as_str().is_ascii());
        }
    }

    #[test]
    fn ids_as_engines_make_them_are_accepted_and_read_back(id in "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", root in ".*") {
        for name in [named(&id, None).unwrap(), named(&id, Some(&root)).unwrap()] {
            prop_assert_eq!(PinName::parse(name.as_str()).unwrap(), name);
        }
    }

    #[test]
    fn different_ids_have_different_names(a in "[a-z0-9]{1,8}", b in "[a-z0-9]{1,8}") {
        prop_assert_eq!(named(&a, None) == named(&b, None), a == b);
    }

    #[test]
    fn reading_back_never_accepts_more_than_one_component(file in "(berth-)?.{0,20}") {
        if let Ok(name) = PinName::parse(&file) {
            prop_assert!(!name.as_str().contains('/') && !name.as_str().contains('\0'));
            prop_assert_eq!(name.as_str(), file);
        }
    }
}

#[test]
fn pins_of_equal_ids_differ_between_scopes() {
    let (cri, ctr) = (named("abc", None).unwrap(), named("abc", Some("default")).unwrap());
    assert_eq!(cri.as_str(), "berth-abc");
    assert_eq!(ctr.as_str().len(), "berth-abc-".len() + 8);
    assert_eq!(named("abc", Some("k8s.io")).unwrap(), cri);
}
