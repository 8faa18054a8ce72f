use super::PinName;
use crate::identity::{Engine, SandboxId, Scope};

#[test]
fn pins_of_equal_ids_differ_between_scopes() {
    let id = SandboxId::try_from("abc").unwrap();
    let cri = PinName::of(&Scope::cri(Engine::Containerd), &id);
    let ctr = PinName::of(&Scope { engine: Engine::Containerd, root: "default".into() }, &id);
    assert_eq!(cri.as_str(), "berth-abc");
    assert_eq!(ctr.as_str().len(), "berth-abc-".len() + 8);
    assert_eq!(PinName::parse(ctr.as_str()).unwrap(), ctr);
}
