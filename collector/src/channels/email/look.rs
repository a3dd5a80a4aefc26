//! How mails look: golden files of their text, headers, and what HTML must never hold.
//!
//! Owns `golden/`. With `WATCHKEEPER_MAILS=DIR` the pages are written there too, to be looked at.

use lettre::message::header::{HeaderName, HeaderValue};
use watchkeeper_collector_core::notify::{Action, Notification};

use super::message::{self, Look, Threading};
use super::report::Report;
use super::{html, plain};
use crate::channels::samples;

pub(super) fn look() -> Look {
    Look {
        from: "Watchkeeper <alerts@example.com>".parse().unwrap(),
        to: vec!["ops@example.com".parse().unwrap(), "jane@example.com".parse().unwrap()],
        headers: Vec::new(),
        threading: Some(Threading::Incident),
    }
}

fn mail(told: &Notification, look: &Look) -> String {
    String::from_utf8(message::mail(told, look, &[]).unwrap()).unwrap()
}

/// A header with its folding taken away; "" if absent.
pub(super) fn header(mail: &str, name: &str) -> String {
    let head = mail.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let lead = format!("{}:", name.to_lowercase());
    let found = head.lines().find(|line| line.to_lowercase().starts_with(&lead));
    found.map_or_else(String::new, |line| line[lead.len()..].trim().to_owned())
}

fn all_samples() -> Vec<(&'static str, Notification)> {
    let mut closed_here = samples::slo_page();
    closed_here.action = Action::Close;
    closed_here.reason = "rerouted".into();
    vec![
        ("slo_page", samples::slo_page()),
        ("slo_update", samples::slo_update()),
        ("slo_close", samples::slo_close()),
        ("closed_here", closed_here),
        ("rule_page", samples::rule_page()),
        ("group", samples::group(25)),
    ]
}

#[test]
fn mails_read_as_the_golden_files_show() {
    for (name, told) in all_samples() {
        let shown = plain::text(&Report::of(&told, &[]));
        let subject = header(&mail(&told, &look()), "subject");
        let shown = format!("Subject: {subject}\n\n{shown}");
        let file = format!("{}/src/channels/email/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("WATCHKEEPER_REGENERATE").is_some() {
            std::fs::write(&file, &shown).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(shown, golden, "golden/{name}.txt should now read:\n{shown}");
    }
}

#[test]
fn text_keeps_within_78_columns_but_never_breaks_an_address() {
    let long = format!("https://runbooks.example/{}", "x".repeat(200));
    for (name, mut told) in all_samples() {
        let with_url = told.alerts[0].annotations.with_one("runbook_url", &long);
        told.alerts[0].annotations = with_url;
        for line in plain::text(&Report::of(&told, &[])).lines() {
            let is_address = line.contains("://");
            assert!(is_address || line.chars().count() <= 78, "{name}: {line}");
        }
    }
}

#[test]
fn what_means_harm_is_shown_and_not_obeyed() {
    for n_alerts in [1, 1_000] {
        let told = samples::hostile(n_alerts);
        let report = Report::of(&told, &["<script>@x.y".to_owned()]);
        let (page, text) = (html::page(&report), plain::text(&report));
        for markup in
            ["<!channel", "<https:", "<script", "javascript:", "\u{7}", "\u{1b}", "\u{202e}"]
        {
            assert!(!page.contains(markup), "{markup:?} in {page}");
        }
        for control in ["\u{0}", "\u{7}", "\u{1b}", "\u{202e}", "\r"] {
            assert!(!text.contains(control), "{control:?} in {text}");
        }
        assert!(page.len() < 100 * 1024, "{} bytes: some mail programs cut at 102 KiB", page.len());
        assert!(text.len() < 64 * 1024, "{} bytes", text.len());
        let whole = mail(&told, &look());
        assert!(whole.len() < 300 * 1024, "{} bytes", whole.len());
        assert!(whole.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
        assert!(whole.is_ascii());
    }
}

#[test]
fn tags_of_a_page_are_closed_and_nothing_is_loaded() {
    for (name, told) in all_samples() {
        let page = html::page(&Report::of(&told, &[]));
        for tag in ["html", "head", "body", "table", "tr", "td", "div", "p", "span", "a", "h1"] {
            let opened = page.matches(&format!("<{tag} ")).count()
                + page.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{name}: {tag}");
        }
        for load in ["<img", "<link", "<script", "src=", "url(", "@import"] {
            assert!(!page.contains(load), "{name}: {load}");
        }
        if let Ok(directory) = std::env::var("WATCHKEEPER_MAILS") {
            std::fs::write(format!("{directory}/{name}.html"), &page).unwrap();
            std::fs::write(format!("{directory}/{name}.eml"), mail(&told, &look())).unwrap();
        }
    }
}

#[test]
fn a_header_can_never_be_injected() {
    let mut told = samples::slo_page();
    let nasty = "x\r\nBcc: thief@evil.example\r\n\r\n<script>";
    told.group_labels = told.group_labels.with_one("alertname", nasty).with_one("a", nasty);
    told.dedup_key = nasty.into();
    told.memory = Some("<a@b>\r\nBcc: thief@evil.example".into());
    let mail = mail(&told, &look());
    assert_eq!(header(&mail, "bcc"), "");
    assert_eq!(header(&mail, "in-reply-to"), "", "what was remembered is no id");
    assert_eq!(
        header(&mail, "subject"),
        "[FIRING] x Bcc: thief@evil.example <script> (shop, a=x Bcc: thief@evil.example <script>)"
    );
}

#[test]
fn ids_last_for_a_delivery_and_threads_for_an_incident() {
    let look = look();
    let open = samples::slo_page();
    let (first, again) = (mail(&open, &look), mail(&open, &look));
    let root = header(&first, "message-id");
    assert_eq!(root, header(&again, "message-id"), "the same for each attempt");
    assert_eq!((header(&first, "references"), header(&first, "in-reply-to")), Default::default());
    assert_eq!(root, message::message_id(&open, &look));
    let mut close = samples::slo_close();
    close.memory = Some(root.clone());
    let last = mail(&close, &look);
    assert_ne!(header(&last, "message-id"), root);
    assert_eq!(header(&last, "references"), root);
    assert_eq!(header(&last, "in-reply-to"), root);
    let bare = |mail: &str| header(mail, "subject").split_once("] ").unwrap().1.to_owned();
    assert_eq!(bare(&first), bare(&last), "only the bracket differs");
    for (name, value) in [
        ("auto-submitted", "auto-generated"),
        ("date", "Sun, 22 Nov 2026 18:07:19 +0000"),
        ("from", "Watchkeeper <alerts@example.com>"),
        ("to", "ops@example.com, jane@example.com"),
        ("mime-version", "1.0"),
    ] {
        assert_eq!(header(&first, name), value);
    }
    let text = first.find("text/plain").unwrap();
    assert!(first.contains("multipart/alternative") && text < first.find("text/html").unwrap());
}

#[test]
fn a_subject_names_the_only_alert_of_a_group_without_ending_the_thread() {
    let mut told = samples::rule_page();
    told.group_labels = told.group_labels.only(&["service"]);
    assert_eq!(header(&mail(&told, &look()), "subject"), "[FIRING: ShopSlow] Alerts (shop)");
    told.alerts[0].labels = told.alerts[0].labels.with_one("alertname", "a[b]c");
    assert_eq!(header(&mail(&told, &look()), "subject"), "[FIRING: abc] Alerts (shop)");
    let several = mail(&samples::group(3), &look());
    assert_eq!(header(&several, "subject"), "[FIRING:2] Alerts (shop)");
}

#[test]
fn threads_by_day_or_none_at_all() {
    let daily = Look { threading: Some(Threading::Daily), ..look() };
    let (open, close) = (mail(&samples::slo_page(), &daily), mail(&samples::slo_close(), &daily));
    let root = header(&open, "references");
    assert!(root.starts_with("<alert-") && root.ends_with("-2026-11-22@example.com>"), "{root}");
    assert_eq!((header(&close, "references"), header(&open, "in-reply-to")), (root.clone(), root));
    let none = Look { threading: None, ..look() };
    let mut close = samples::slo_close();
    close.memory = Some("<a@b>".into());
    assert_eq!(header(&mail(&close, &none), "references"), "");
}

#[test]
fn long_headers_are_folded_and_names_are_encoded() {
    let name = "Jürgen Groß-Müller, Störungsstelle";
    let to = |n: usize| format!("\"{name}\" <jürgen{n}@example.com>").replace("jürgen", "juergen");
    let to = (0..100).map(|n| to(n).parse().unwrap()).collect();
    let mut told = samples::slo_page();
    told.group_labels = told.group_labels.with_one("alertname", &"ä long näme ".repeat(20));
    let mail = mail(&told, &Look { to, ..look() });
    assert!(mail.is_ascii());
    let head = mail.split("\r\n\r\n").next().unwrap();
    let longest = head.split("\r\n").map(str::len).max().unwrap();
    assert!(longest < 140, "{longest}: folded between addresses and words, never at 998");
    assert_eq!(head.matches("@example.com>").count() - 2, 100, "From, To and Message-ID");
}

#[test]
fn headers_of_ones_own_take_the_place_of_ours() {
    let name = |name: &str| HeaderName::new_from_ascii(name.to_owned()).unwrap();
    let headers = vec![
        HeaderValue::new(name("Subject"), "Störung im Laden".into()),
        HeaderValue::new(name("Reply-To"), "desk@example.com".into()),
    ];
    let mail = mail(&samples::slo_page(), &Look { headers, ..look() });
    assert_eq!(header(&mail, "subject"), "=?utf-8?b?U3TDtnJ1bmc=?= im Laden");
    assert_eq!(mail.matches("Subject:").count(), 1);
    assert_eq!(header(&mail, "reply-to"), "desk@example.com");
}
