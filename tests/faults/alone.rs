//! A test in a process of its own that is the first of a process id namespace, with mounts and a network of its own: what
//! looks through `/proc` finds nothing else there, and so makes the same calls each time.

use crate::isolated;

/// Runs `body` so, and prints what it says of its runs. `path` is `module_path!()` and the test's name joined by `::`.
pub(crate) fn run(path: &str, body: fn()) {
    let out = isolated::run_in(isolated::PROCESSES, path, body);
    out.lines().filter(|line| line.starts_with("faults: ")).for_each(|line| println!("{line}"));
}

/// Declares such tests.
#[macro_export]
macro_rules! alone {
    ($(fn $name:ident() $body:block)*) => {
        $(#[test]
        fn $name() {
            $crate::alone::run(concat!(module_path!(), "::", stringify!($name)), || $body);
        })*
    };
}
