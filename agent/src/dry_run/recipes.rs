//! The documents' own words, tried.
//!
//! Owns that every agent's file in them is good, and that each recipe counts every line of the sample above it. Never
//! says what a recipe should count: that stands there for people.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use watchkeeper_config::{Reader, load_str};

use super::options::DryRunOptions;
use super::run::report_of;
use crate::config::read;
use crate::sources::SourceSettings;

const README: &str = include_str!("../../../README.md");
const SOURCES: &str = include_str!("../../../docs/sources.md");

/// Where a sample lies, if its path says something.
const POD: &str = "var/log/pods/shop_web-7d4b_1b4e28ba-2fa1-11d2-883f-0016d3cca427/nginx/0.log";

/// A fenced block: its language, and what is in it.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

impl Block<'_> {
    /// It is a whole file of an agent, and no part of one.
    fn is_agent(&self) -> bool {
        self.language == "yaml" && self.text.lines().any(|line| line == "sources:")
    }

    fn is_sample(&self) -> bool {
        matches!(self.language, "" | "json")
    }
}

/// The blocks of a document, by section.
fn sections(document: &str) -> impl Iterator<Item = (&str, Vec<Block<'_>>)> {
    document.split("\n### ").map(|section| {
        let title = section.lines().next().unwrap_or_default();
        let fenced = section.split("\n```").skip(1).step_by(2);
        let blocks = fenced.map(|block| {
            let (language, text) = block.split_once('\n').unwrap_or((block, ""));
            Block { language, text }
        });
        (title, blocks.collect())
    })
}

fn sources(title: &str, yaml: &str) -> Vec<SourceSettings> {
    let mut reader = Reader::new(&|_: &str| None);
    let settings = load_str("agent.yaml", yaml, &mut reader)
        .and_then(|document| read(&document, &mut reader, false));
    let (settings, warnings) = match reader.finish(settings) {
        Ok(read) => read,
        Err(problems) => panic!("{title}\n{}", problems.render()),
    };
    assert!(warnings.render().is_empty(), "{title}\n{}", warnings.render());
    settings.sources
}

#[test]
fn every_file_of_an_agent_in_the_documents_is_good() {
    let mut n_files = 0;
    for (title, blocks) in [README, SOURCES].into_iter().flat_map(sections) {
        for block in blocks.iter().filter(|block| block.is_agent()) {
            assert!(!sources(title, block.text).is_empty(), "{title} has no sources");
            n_files += 1;
        }
    }
    assert!(n_files > 10, "{n_files} files were found");
}

#[test]
fn each_recipe_counts_every_line_of_its_sample() {
    let mut n_recipes = 0;
    for (title, blocks) in sections(SOURCES) {
        let Some(at) = blocks.iter().position(Block::is_agent) else { continue };
        let Some(sample) = blocks[..at].iter().rfind(|block| block.is_sample()) else { continue };
        n_recipes += 1;
        let dir = tempfile::tempdir().unwrap();
        let file = written(dir.path(), sample.text);
        let options = DryRunOptions { files: vec![file], ..DryRunOptions::default() };
        let (report, code) = report_of(sources(title, blocks[at].text), &options).unwrap();
        assert_eq!(code, 0, "{title}");
        let source = serde_json::to_value(&report).unwrap()["sources"][0].clone();
        // The samples grow old.
        let skipped = source["skipped"].as_array().unwrap();
        assert!(skipped.iter().all(|s| s["reason"] == "too_late"), "{title}: {skipped:#?}");
        let n_skipped: u64 = skipped.iter().filter_map(|s| s["n"].as_u64()).sum();
        let matched = source["matched"].as_u64().unwrap();
        assert_eq!(source["lines"], Value::from(matched + n_skipped), "{title}");
        let is_new = n_skipped == 0;
        let signals = source["signals"].as_array().unwrap();
        let events = source["events"].as_array().unwrap();
        let is_whole = signals
            .iter()
            .all(|s| s["observed"] != 0 && s["empty_labels"] == Value::from(Vec::<Value>::new()))
            && events.iter().all(|e| e["n"] != 0);
        assert!(is_whole || !is_new, "{title}: {source:#}");
    }
    assert!(n_recipes >= 9, "{n_recipes} recipes were found");
}

fn written(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join(POD);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("{text}\n")).unwrap();
    path
}
