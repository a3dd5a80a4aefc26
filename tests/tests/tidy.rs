//! The house's own rules, as tests: which crate may know which, one version of each dependency, headers, sizes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may know whom. What is not here is forbidden.
const ARROWS: &[(&str, &[&str])] = &[
    ("watchkeeper-model", &[]),
    ("watchkeeper-expr", &["watchkeeper-model"]),
    ("watchkeeper-config", &["watchkeeper-model", "watchkeeper-expr"]),
    ("watchkeeper-proto", &[]),
    ("watchkeeper-daemon", &["watchkeeper-model"]),
    ("watchkeeper-amqp", &["watchkeeper-config"]),
    ("watchkeeper-agent-core", &["watchkeeper-model", "watchkeeper-expr"]),
    ("watchkeeper-collector-core", &["watchkeeper-model", "watchkeeper-expr"]),
    (
        "watchkeeper-agent",
        &[
            "watchkeeper-model",
            "watchkeeper-expr",
            "watchkeeper-config",
            "watchkeeper-amqp",
            "watchkeeper-proto",
            "watchkeeper-daemon",
            "watchkeeper-agent-core",
        ],
    ),
    (
        "watchkeeper-collector",
        &[
            "watchkeeper-model",
            "watchkeeper-expr",
            "watchkeeper-config",
            "watchkeeper-amqp",
            "watchkeeper-proto",
            "watchkeeper-daemon",
            "watchkeeper-collector-core",
        ],
    ),
    (
        "watchkeeper",
        &[
            "watchkeeper-model",
            "watchkeeper-expr",
            "watchkeeper-config",
            "watchkeeper-amqp",
            "watchkeeper-agent",
            "watchkeeper-collector",
        ],
    ),
    (
        "watchkeeper-tests",
        &["watchkeeper-model", "watchkeeper-agent-core", "watchkeeper-collector-core"],
    ),
];

/// What a core must not even be able to reach.
const NOT_IN_CORES: [&str; 8] =
    ["tokio", "rusqlite", "reqwest", "tonic", "axum", "rustix", "getrandom", "notify"];

/// Crates that bring a second cryptography, a C library of the system, or a build tool.
const NOWHERE: [&str; 5] = ["aws-lc-rs", "openssl-sys", "native-tls", "cmake", "protobuf-src"];

/// Second versions that others bring: ring asks for an older getrandom, and petgraph, under the generator of protobuf
/// types that only a test runs, for an older hashbrown; HTTP clients and mails ask for different base64; the TLS that lapin
/// brings reads PKCS #12, which we never give it, with an older hmac
/// and sha2.
const NOT_OURS_TO_CHOOSE: [&str; 5] = ["getrandom", "hashbrown", "base64", "hmac", "sha2"];

/// A file is looked at again past this many lines before its tests.
const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn members(metadata: &Value) -> Vec<&Value> {
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().filter(|p| p["source"].is_null()).collect()
}

/// Every Rust file of ours.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                directories.push(path);
            } else if name.ends_with(".rs") && name != "watchkeeper.v1.rs" {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the sources were not found");
    found
}

#[test]
fn crates_know_only_whom_they_may() {
    let metadata = metadata();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let all = members(&metadata);
    assert_eq!(all.len(), ARROWS.len(), "a crate is not on the map");
    for package in all {
        let name = package["name"].as_str().unwrap();
        let allowed = arrows.get(name).unwrap_or_else(|| panic!("{name} is not on the map"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            let is_ours = dependency["path"].is_string();
            assert!(!is_ours || allowed.contains(&target), "{name} must not know {target}");
            let is_core =
                name.ends_with("-core") || name.ends_with("-model") || name.ends_with("-expr");
            let is_normal = dependency["kind"].is_null();
            let forbidden = is_core && is_normal && NOT_IN_CORES.contains(&target);
            assert!(!forbidden, "{name} decides and must not reach {target}");
        }
    }
}

#[test]
fn each_dependency_has_one_version_chosen_in_one_place() {
    let metadata = metadata();
    let mut direct = BTreeSet::new();
    for package in members(&metadata) {
        for dependency in package["dependencies"].as_array().unwrap() {
            direct.insert(dependency["name"].as_str().unwrap());
        }
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let dependencies = manifest.split("dependencies]").skip(1);
        for line in
            dependencies.flat_map(|section| section.lines().take_while(|l| !l.starts_with('[')))
        {
            let says_version = line.contains("version") || line.contains("= \"");
            assert!(
                !says_version,
                "{}: a version outside the workspace's table: {line}",
                package["name"]
            );
        }
    }
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        assert!(!NOWHERE.contains(&name), "{name} has crept in");
        versions.entry(name).or_default().insert(package["version"].as_str().unwrap());
    }
    for name in direct {
        let n = versions[name].len();
        assert!(
            n == 1 || (n == 2 && NOT_OURS_TO_CHOOSE.contains(&name)),
            "{name}: {:?}",
            versions[name]
        );
    }
}

#[test]
fn every_file_says_what_it_owns_and_stays_readable() {
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = path.display();
        assert!(text.starts_with("//!"), "{shown} has no header that says what it owns");
        let is_test =
            path.components().any(|c| c.as_os_str() == "tests") || path.ends_with("tests.rs");
        let own = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
        let n_lines = own.lines().count();
        assert!(is_test || n_lines <= LONGEST_FILE, "{shown} has {n_lines} lines before its tests");
    }
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // Split, so that this file does not find itself.
    let words = [["#[", "ignore"], ["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]]
        .map(|w| w.concat());
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in &words {
            assert!(!text.contains(word.as_str()), "{}: {word}", path.display());
        }
    }
}

#[test]
fn cores_are_fenced_by_bans() {
    for core in ["model", "expr", "agent/core", "collector/core"] {
        let bans = std::fs::read_to_string(root().join(core).join("clippy.toml")).unwrap();
        for ban in [
            "std::time::SystemTime::now",
            "std::env::var",
            "std::fs::File::open",
            "std::net::TcpStream",
        ] {
            assert!(bans.contains(ban), "{core}/clippy.toml does not ban {ban}");
        }
    }
}
