//! Text as kernels write it.

use std::path::Path;

use proptest::prelude::*;

use super::{Mount, covering, parse, towards};

/// A systemd node, shortened: shared root, shared /run, a pin below it.
const NODE: &[u8] = b"\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
25 22 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
27 22 0:24 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,size=401096k,mode=755
312 27 0:4 net:[4026532298] /run/netns/cni-5b7c rw shared:160 - nsfs nsfs rw
401 22 0:51 / /mnt/with\\040space\\011tab\\134back rw shared:9 master:7 propagate_from:2 unbindable - tmpfs none rw
";

#[test]
fn fields_are_read_with_all_their_optional_tags() {
    let mounts = parse(NODE);
    assert_eq!(mounts.len(), 5);
    assert_eq!((mounts[0].id, mounts[0].parent, mounts[0].shared, mounts[0].master), (22, 1, Some(1), None));
    assert_eq!(mounts[3].root, Path::new("net:[4026532298]"));
    assert_eq!(mounts[3].device, "0:4");
    assert_eq!((mounts[4].shared, mounts[4].master), (Some(9), Some(7)));
}

#[test]
fn octal_escapes_are_undone() {
    assert_eq!(parse(NODE)[4].point, Path::new("/mnt/with space\ttab\\back"));
}

#[test]
fn a_mount_without_tags_is_private() {
    let mounts = parse(b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw");
    assert_eq!((mounts[0].shared, mounts[0].master), (None, None));
}

#[test]
fn lines_that_make_no_sense_are_left_out() {
    assert_eq!(parse(b"\n\nx y z\n1 2\n22 1 0:1 / / rw - ext4 a b\n").len(), 1);
}

fn point_of(text: &[u8], path: &str) -> Option<u64> {
    let path = Path::new(path);
    let among = |mounts: &[Mount]| covering(mounts, path).map(|mount| mount.id);
    let found = among(&towards(text, path));
    assert_eq!(found, among(&parse(text)), "the mounts that the path does not lead through make no difference");
    found
}

#[test]
fn the_covering_mount_is_the_deepest_that_the_path_leads_through() {
    assert_eq!(point_of(NODE, "/run/netns"), Some(27));
    assert_eq!(point_of(NODE, "/run/netns/cni-5b7c"), Some(312));
    assert_eq!(point_of(NODE, "/runner"), Some(22));
    assert_eq!(point_of(NODE, "/mnt/with space\ttab\\back/file"), Some(401));
    assert_eq!(towards(NODE, Path::new("/run/netns")).len(), 3, "one is looked at for its escapes");
    assert_eq!(point_of(NODE, "/"), Some(22));
    assert_eq!(point_of(b"", "/run"), None);
}

#[test]
fn of_mounts_stacked_on_one_point_the_last_counts() {
    let text = b"\
1 0 0:1 / / rw - tmpfs a rw
2 1 0:2 / /run rw shared:2 - tmpfs a rw
3 2 0:2 /netns /run/netns rw shared:2 - tmpfs a rw
4 3 0:2 /netns /run/netns rw - tmpfs a rw
";
    assert_eq!(point_of(text, "/run/netns"), Some(4));
}

#[test]
fn a_deeper_mount_that_is_covered_further_up_does_not_count() {
    let text = b"\
1 0 0:1 / / rw - tmpfs a rw
2 1 0:2 / /run rw shared:2 - tmpfs a rw
3 2 0:2 /netns /run/netns rw shared:2 - tmpfs a rw
5 2 0:9 / /run rw - tmpfs over rw
";
    assert_eq!(point_of(text, "/run/netns"), Some(5));
}

#[test]
fn the_root_may_be_stacked_and_its_parent_unknown() {
    let text = b"\
600 599 0:1 / / rw - rootfs a rw
601 600 0:2 / / rw - overlay b rw
602 601 0:3 / /run rw - tmpfs c rw
";
    assert_eq!(point_of(text, "/run/netns"), Some(602));
}

#[test]
fn the_place_inside_the_file_system_is_below_the_mounts_root() {
    let mounts = parse(b"9 1 0:2 /netns /run/netns rw - tmpfs a rw\n10 1 0:2 / /run rw - tmpfs a rw");
    let dir = Path::new("/run/netns");
    assert_eq!(mounts[0].inside(dir), mounts[1].inside(dir));
    assert_eq!(mounts[0].inside(Path::new("/else")), None);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_any_tree_descended_to_an_end(text in any::<Vec<u8>>(), path in "/[a-z/]{0,20}") {
        covering(&parse(&text), Path::new(&path));
    }

    #[test]
    fn parents_in_circles_end(parents in proptest::collection::vec(0_u64..6, 6)) {
        let line = |(id, parent): (usize, &u64)| format!("{id} {parent} 0:1 / / rw - tmpfs a rw\n");
        let text: String = parents.iter().enumerate().map(line).collect();
        covering(&parse(text.as_bytes()), Path::new("/run/netns"));
    }
}
