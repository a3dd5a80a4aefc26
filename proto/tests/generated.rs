//! The committed types are those that the .proto file generates.

use std::path::Path;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/watchkeeper.v1.rs");

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let set = protox::compile(["watchkeeper/v1/intake.proto"], [&root])
        .expect("the .proto file compiles");
    let out = tempfile::tempdir().expect("a temporary directory");
    tonic_prost_build::configure()
        .bytes(".watchkeeper.v1.Batch.body")
        .out_dir(out.path())
        .compile_fds(set)
        .expect("types are generated");
    std::fs::read_to_string(out.path().join("watchkeeper.v1.rs"))
        .expect("the generator writes one file")
}

#[test]
fn committed_types_are_those_of_the_proto_file() {
    let fresh = generated();
    if std::env::var_os("WATCHKEEPER_REGENERATE").is_some() {
        std::fs::write(COMMITTED, &fresh).expect("the committed file can be written");
    }
    let committed = std::fs::read_to_string(COMMITTED).expect("the committed file can be read");
    assert!(
        committed == fresh,
        "proto/src/watchkeeper.v1.rs is not what proto/proto/watchkeeper/v1/intake.proto generates: \
         run WATCHKEEPER_REGENERATE=1 cargo test -p watchkeeper-proto"
    );
}
