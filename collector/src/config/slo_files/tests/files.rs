//! Files on disk: found beside the one that names them, and checked by themselves.

use watchkeeper_config::{ProcessEnv, Reader};

use super::sloth::SLOTH;
use super::texts::{RATIO, of_others, usual};
use crate::config::{check_slo_file, load_settings};

#[test]
fn files_are_found_beside_the_one_that_names_them_and_refer_to_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("slos")).unwrap();
    let referring = usual("objectives: [{target: 0.99}]")
        .replace("  indicator: {spec: {", "  indicatorRef: answers\n  description: x #");
    write("slos/a.yaml", &referring);
    let sli = format!(
        "apiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: answers}}\nspec: {{{RATIO}}}\n"
    );
    write("slos/b.yaml", &sli);
    write("slos/c.yml", SLOTH);
    let own = "name: own, service: shop, window: 30d, objective: 99, composite: [{slo: web}, {slo: shop-fast}]";
    let main = format!(
        "slos: [{{{own}}}]\nslo_files: ['slos/*.yaml', slos/c.yml]\ncorrections: [{{slos: [web], reason: x, weekly: {{days: [sun], from: '01:00', to: '02:00'}}}}]\n"
    );
    write("collector.yaml", &main);
    let load = || load_settings(&dir.path().join("collector.yaml"), &ProcessEnv, false);
    let names = |settings: &crate::config::CollectorSettings| -> Vec<String> {
        settings.engine.slos.iter().map(|slo| slo.name.clone()).collect()
    };
    let (settings, problems) = load().unwrap();
    assert_eq!(names(&settings), ["own", "shop-answers", "shop-fast", "web"]);
    assert!(problems.iter().all(|p| p.place.file().starts_with(dir.path().join("slos"))));

    // What is edited is there when it is loaded again, as a reload does.
    write(
        "slos/c.yml",
        &SLOTH.replace("objective: 95", "objective: 97").replace("name: answers", "name: asks"),
    );
    let (settings, _) = load().unwrap();
    assert_eq!(names(&settings), ["own", "shop-asks", "shop-fast", "web"]);
    assert!((settings.engine.slos[2].objective.percent() - 97.0).abs() < 1e-9);

    for (file, text, expected) in [
        ("slos/d.yaml", "a: [\n", "d.yaml:"),
        ("slos/d.yaml", "slos: []\n", "neither OpenSLO's nor Sloth's"),
        ("collector.yaml", "slo_files: [none.yaml]", "there is no file `none.yaml`"),
        ("collector.yaml", "slo_files: slos/a.yaml", "a list is needed"),
        (
            "collector.yaml",
            "slos: []\ninclude: [slos/b.yaml]",
            "b.yaml:1:13: error: SLO files of others are not included",
        ),
        (
            "collector.yaml",
            "slos: []\ninclude: [slos/c.yml]",
            "c.yml:1:10: error: SLO files of others are not included",
        ),
    ] {
        write("collector.yaml", &main);
        write(file, text);
        let shown = load().unwrap_err().render();
        assert!(shown.contains(expected), "{file}: {text}\n{shown}");
        let _ = std::fs::remove_file(dir.path().join("slos/d.yaml"));
    }
}

#[test]
fn a_file_by_itself_is_checked_with_all_that_is_said_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slos.yaml");
    let wrong = usual("objectives: [{target: 0.9}]")
        .replace("{name: web}", "{name: web, annotations: {summary: '{{ nothing }}'}}");
    for (text, n_slos, problem) in [
        (format!("---\n{}---\n{SLOTH}", usual("objectives: [{target: 0.99}]")), Some(3), ""),
        (wrong, Some(1), "`nothing` is not there"),
        (SLOTH.replace("name: fast", "name: answers"), Some(2), "another SLO or rule is called"),
        ("# nothing\n".to_owned(), None, "no document"),
        ("a: [".to_owned(), None, "broken YAML"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let mut reader = Reader::new(&ProcessEnv);
        let file = check_slo_file(&path, &mut reader);
        let shown = reader.problems().render();
        assert_eq!(file.map(|file| file.n_slos), n_slos, "{text}\n{shown}");
        assert!(shown.contains(problem), "{text}\n{shown}");
        assert_eq!(reader.problems().has_errors(), !problem.is_empty(), "{shown}");
    }
}

#[test]
fn examples_in_the_documents_are_read_without_a_word() {
    let text = include_str!("../../../../../docs/openslo.md");
    let blocks: Vec<&str> =
        text.split("```yaml\n").skip(1).map(|b| b.split("```").next().unwrap()).collect();
    let read = |head: &str| {
        let block = blocks.iter().find(|block| block.starts_with(head)).unwrap();
        let (slos, problems) = of_others(block, true);
        assert_eq!(problems, [""; 0], "{block}");
        slos.into_iter().map(|slo| slo.name).collect::<Vec<_>>()
    };
    assert_eq!(read("apiVersion"), ["shop-answers", "shop-fast-most", "shop-fast-nearly-all"]);
    assert_eq!(read("version"), ["shop-answers", "shop-fast"]);
}
