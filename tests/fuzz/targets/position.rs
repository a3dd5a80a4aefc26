//! Arbitrary text as a stored position, of a file and of a journal: refused, or one that is stored and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchkeeper_agent_core::journal;
use watchkeeper_agent_core::tail::Position;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Position::decode(text) {
        Ok(position) => {
            assert!(position.begin <= position.offset);
            assert_eq!(Position::decode(&position.encode()), Ok(position));
        }
        Err(corrupt) => assert!(!corrupt.to_string().is_empty()),
    }
    match journal::Position::decode(text) {
        Ok(position) => {
            assert!(position.begin <= position.read);
            assert!(position.read == 0 || position.cursor().is_some(), "read, and nowhere");
            assert_eq!(journal::Position::decode(&position.encode()), Ok(position));
        }
        Err(corrupt) => assert!(!corrupt.to_string().is_empty()),
    }
});
