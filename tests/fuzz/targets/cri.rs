//! Lines of Kubernetes' runtimes against their form as an expression: the same lines are of it, with the same parts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use regex::bytes::Regex;
use watchkeeper_agent_core::tail::Stream;
use watchkeeper_agent_core::tail::join::parse_cri;
use watchkeeper_fuzz::{MAX_WRAPPER_TIME, WRAPPER_TIME};

static FORM: LazyLock<Regex> = LazyLock::new(|| {
    let text = format!(r"(?s-u)\A({WRAPPER_TIME}) (stdout|stderr) ([PF])(?::[^ ]*)? (.*)\z");
    Regex::new(&text).expect("an expression of ours")
});

fuzz_target!(|line: &[u8]| {
    let wanted = FORM.captures(line).filter(|found| found[1].len() <= MAX_WRAPPER_TIME);
    match (parse_cri(line), wanted) {
        (None, None) => {}
        (Some(part), Some(found)) => {
            assert_eq!((part.time.as_bytes(), part.text), (&found[1], &found[4]));
            assert_eq!(part.stream.map(Stream::as_str).map(str::as_bytes), Some(&found[2]));
            assert_eq!(part.ends, &found[3] == b"F");
        }
        (ours, wanted) => panic!("{ours:?} and not {wanted:?}: {line:?}"),
    }
});
