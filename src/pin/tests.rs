//! Names cannot leave their directory.

use std::path::{Component, Path};

use proptest::prelude::*;

use super::{NameError, PinName};
use crate::identity::{Engine, SandboxId, Scope};

#[test]
fn a_name_carries_prefix_id_and_scope() {
    assert_eq!(PinName::new("0a1b").unwrap().as_str(), "berth-0a1b");
    assert_eq!(PinName::scoped("web_1.x", 0xbeef).unwrap().as_str(), "berth-web_1.x-0000beef");
    assert_eq!(PinName::try_from("a").unwrap().to_string(), "berth-a");
}

#[test]
fn what_could_escape_or_mislead_is_refused() {
    for id in ["/", "../x", "..", ".", ".hidden", "a/b", "a\0b", "a\nb", "-rf", "_x", "a b", "é", "a:b", "\u{202e}a"] {
        assert!(matches!(PinName::new(id), Err(NameError::Character { .. })), "{id:?}");
    }
    assert_eq!(PinName::new(""), Err(NameError::Empty));
    assert_eq!(PinName::new(&"a".repeat(300)), Err(NameError::TooLong(300)));
    assert!(PinName::new(&"a".repeat(128)).is_ok());
    assert!(PinName::new(&"a".repeat(129)).is_err());
}

#[test]
fn files_of_others_are_no_pins() {
    for file in ["cni-1", "berth", "Berth-a", "xberth-a", ""] {
        assert_eq!(PinName::parse(file), Err(NameError::Prefix(file.to_owned())));
    }
    assert_eq!(PinName::parse("berth-"), Err(NameError::Empty));
    assert!(PinName::parse("berth-../x").is_err());
}

proptest! {
    #[test]
    fn any_string_is_refused_or_one_component(id in any::<String>()) {
        if let Ok(name) = PinName::new(&id) {
            let path = Path::new("/d").join(name.as_str());
            prop_assert_eq!(path.components().count(), 3);
            prop_assert!(matches!(path.components().next_back(), Some(Component::Normal(_))));
            prop_assert!(name.as_str().len() <= 255 && name.as_str().is_ascii());
        }
    }

    #[test]
    fn ids_as_engines_make_them_are_accepted_and_read_back(id in "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", scope in any::<u32>()) {
        for name in [PinName::new(&id).unwrap(), PinName::scoped(&id, scope).unwrap()] {
            prop_assert_eq!(PinName::parse(name.as_str()).unwrap(), name);
        }
    }

    #[test]
    fn different_ids_have_different_names(a in "[a-z0-9]{1,8}", b in "[a-z0-9]{1,8}") {
        prop_assert_eq!(PinName::new(&a) == PinName::new(&b), a == b);
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
    let id = SandboxId::try_from("abc").unwrap();
    let cri = PinName::of(&Scope::cri(Engine::Containerd), &id);
    let ctr = PinName::of(&Scope { engine: Engine::Containerd, root: "default".into() }, &id);
    assert_eq!(cri.as_str(), "berth-abc");
    assert_eq!(ctr.as_str().len(), "berth-abc-".len() + 8);
    assert_eq!(PinName::parse(ctr.as_str()).unwrap(), ctr);
}
