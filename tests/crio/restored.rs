//! Containers that are restored from a checkpoint: CRI-O takes their own annotations from the image, whose author can be
//! anybody, and writes them over its own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::identity;
use crate::rig::berth::CONFIG;
use crate::rig::containerd::NAMES;
use crate::rig::crio::{Handler, Infra, berths_config, copy_image, put_behind};
use crate::rig::read::netns_path;
use crate::rig::{IDLE, Rig};

const DIRECTORY: &str = "/run/rig/checkpoint";
const IMAGE: &str = "localhost/berth/checkpoint:1";

/// Makes an image of a checkpoint, as far as CRI-O and berth look at one, of a container with these annotations.
fn make_image(rig: &Rig, annotations: &Value) {
    rig.run("mkdir", &["-p", &format!("{DIRECTORY}/files/checkpoint"), &format!("{DIRECTORY}/blobs/sha256")]).unwrap();
    let spec =
        json!({"ociVersion": "1.0.2", "annotations": {"io.kubernetes.cri-o.Annotations": annotations.to_string()}});
    let config = json!({"id": "of-then", "name": "of-then", "rootfsImageName": "localhost/berth/busybox:1"});
    for (name, text) in [("spec.dump", spec), ("config.dump", config), ("checkpoint/inventory.img", json!({}))] {
        rig.write(&format!("{DIRECTORY}/files/{name}"), &text.to_string());
    }
    let layer = format!("{DIRECTORY}/layer");
    rig.run("tar", &["-C", &format!("{DIRECTORY}/files"), "-cf", &layer, "spec.dump", "config.dump", "checkpoint"])
        .unwrap();
    let layer = blob(rig, "layer.v1.tar", "layer");
    rig.write(
        &format!("{DIRECTORY}/config"),
        &json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}})
            .to_string(),
    );
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(rig, "config.v1+json", "config"),
        "layers": [layer],
        "annotations": {"io.kubernetes.cri-o.annotations.checkpoint.name": "of-then"},
    });
    rig.write(&format!("{DIRECTORY}/manifest"), &manifest.to_string());
    let index = json!({"schemaVersion": 2, "manifests": [blob(rig, "manifest.v1+json", "manifest")]});
    rig.write(&format!("{DIRECTORY}/index.json"), &index.to_string());
    rig.write(&format!("{DIRECTORY}/oci-layout"), &json!({"imageLayoutVersion": "1.0.0"}).to_string());
    copy_image(rig, &format!("oci:{DIRECTORY}:@0"), IMAGE);
}

/// Moves a file among the blobs; its descriptor.
fn blob(rig: &Rig, kind: &str, name: &str) -> Value {
    let file = format!("{DIRECTORY}/{name}");
    let sum = rig.run("sha256sum", &[&file]).unwrap()[..64].to_owned();
    let size = std::fs::metadata(rig.path(&file)).unwrap().len();
    rig.run("mv", &[&file, &format!("{DIRECTORY}/blobs/sha256/{sum}")]).unwrap();
    json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": format!("sha256:{sum}"), "size": size})
}

/// A handler whose runtime behind berth keeps the specification that it was given.
const KEEPING: &str = "keeping";
const SCRIPT: &str = "#!/bin/sh
for word; do
    [ \"$before\" != --bundle ] || cp \"$word/config.json\" /run/rig/kept.json
    before=$word
done
exec /run/rig/behind/runc \"$@\"
";

fn keeping_rig() -> Rig {
    let mut rig = Rig::crio_with(Infra::Dropped, &[Handler::oci(KEEPING, &format!("{NAMES}/berth-keep"))]);
    rig.name_berth("berth-keep");
    let keeper = put_behind(&rig, "keep", SCRIPT);
    rig.write(CONFIG, &format!("{}  berth-keep: {{engine: cri-o, delegate: {keeper}}}\n", berths_config()));
    rig.start_engine();
    rig
}

/// In a restored specification the engine has put the sandbox right, as late as that; all else is the author's word.
#[test]
fn a_restored_container_is_told_its_own_sandbox_whatever_its_checkpoint_says() {
    let rig = keeping_rig();
    let victim = rig.pod("victim", KEEPING);
    rig.container(&victim, "main", IDLE);
    let pin = rig.pin(&victim.id);
    let forged: BTreeMap<_, _> = identity("sandbox", &victim.id).into_iter().collect();
    make_image(&rig, &json!(forged));

    let pod = rig.pod("web", KEEPING);
    let id = rig.cri().create_container_of(IMAGE, &pod, "main", IDLE).expect("create the container");
    assert_eq!(rig.annotations(&id)["io.kubernetes.cri-o.SandboxID"], victim.id, "it is the author's word so far");
    // It is runc that says so: the checkpoint is none.
    let refused = rig.cri().start_container(&id).expect_err("there is nothing to restore");
    assert!(!refused.message().contains("berth"), "{refused}");

    let kept = std::fs::read_to_string(rig.path("/run/rig/kept.json")).expect("the runtime was run");
    let kept: Value = serde_json::from_str(&kept).expect("a specification");
    for (key, value) in identity("container", &pod.id) {
        assert_eq!(kept["annotations"][key], value, "{key}");
    }
    assert_eq!(netns_path(&kept), Some(Rig::pin_path(&pod.id)));
    assert_eq!(rig.pin(&victim.id), pin);
    assert_ne!(rig.pin(&pod.id), pin);
}
