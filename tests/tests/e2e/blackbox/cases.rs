//! What both are asked, and what should come of it.
//!
//! Owns the targets and the table. Known differences stand in `docs/sources.md` too, under `probe`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;
use watchkeeper_tests::fakes::loopback::{Crowded, acceptor, silent};
use watchkeeper_tests::fakes::{grpc, name_server, talkers, web};
use watchkeeper_tests::harness::{Process, Site, eventually, free_port};

use super::case::Case;

const REDIRECTS: &str = "a 3xx status is as usual unless `expect` says otherwise";
const HOPS: &str = "5 redirects are followed unless `redirects` says otherwise, and not 10";
const ENDLESS: &str = "what nobody asks about is not read to its end";
const SHOWN: &str = "`tls` is about the certificate, verified or not";
const INJECTED: &str = "what follows the consent in clear was sent by nobody who can be trusted";
const EMPTY: &str = "an answer without a record is none unless `expect` says otherwise";
const CUT: &str = "an answer that is too long for UDP is asked for again by TCP";

/// A file of the certificates that tests of probes have.
fn certificate(name: &str) -> PathBuf {
    let all = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/src/sources/probe/testdata");
    Path::new(all).join(name)
}

/// Servers in every mood, as long as this lives.
#[derive(Debug)]
pub(super) struct Targets {
    clear: SocketAddr,
    /// By TLS, with these certificates.
    good: SocketAddr,
    expired: SocketAddr,
    other: SocketAddr,
    /// By TLS 1.1 and nothing newer.
    old: SocketAddr,
    silent: SocketAddr,
    crowded: SocketAddr,
    gone: SocketAddr,
    ssh: SocketAddr,
    redis: SocketAddr,
    /// Agrees to go over to TLS; refuses; agrees, and somebody adds a line.
    mail: [SocketAddr; 3],
    names: SocketAddr,
    health: SocketAddr,
    no_health: SocketAddr,
    _held: Option<(Crowded, Process)>,
}

impl Targets {
    /// Starts them all.
    pub(super) async fn start(openssl: &Path, site: &Site) -> Self {
        let taking = |name: &str| {
            let [chain, key] = ["pem", "key"].map(|end| certificate(&format!("{name}.{end}")));
            acceptor(&chain, &key).unwrap()
        };
        let mail = |consent| talkers::smtp(consent, taking("server"));
        let crowded = Crowded::start().await.unwrap();
        let (old, process) = only_tls_1_1(openssl, site).await;
        Self {
            clear: web(None).await.unwrap(),
            good: web(Some(taking("server"))).await.unwrap(),
            expired: web(Some(taking("expired"))).await.unwrap(),
            other: web(Some(taking("other"))).await.unwrap(),
            old,
            silent: silent().await.unwrap(),
            crowded: crowded.address,
            gone: SocketAddr::from(([127, 0, 0, 1], free_port())),
            ssh: talkers::ssh().await.unwrap(),
            redis: talkers::redis().await.unwrap(),
            mail: [
                mail("220 go ahead\r\n").await.unwrap(),
                mail("502 what?\r\n").await.unwrap(),
                mail("220 go ahead\r\n250 injected\r\n").await.unwrap(),
            ],
            names: name_server().await.unwrap(),
            health: grpc(true).await.unwrap(),
            no_health: grpc(false).await.unwrap(),
            _held: Some((crowded, process)),
        }
    }

    /// Nobody, for who only looks at the table.
    pub(super) fn nowhere() -> Self {
        let at = SocketAddr::from(([127, 0, 0, 1], 9));
        Self {
            clear: at,
            good: at,
            expired: at,
            other: at,
            old: at,
            silent: at,
            crowded: at,
            gone: at,
            ssh: at,
            redis: at,
            mail: [at; 3],
            names: at,
            health: at,
            no_health: at,
            _held: None,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.clear)
    }
}

/// OpenSSL's server, since nothing of Rust's speaks what is so old.
async fn only_tls_1_1(openssl: &Path, site: &Site) -> (SocketAddr, Process) {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(openssl);
    command.args(["s_server", "-accept", &at.to_string(), "-tls1_1", "-www", "-quiet"]);
    command.args(["-cipher", "DEFAULT@SECLEVEL=0"]);
    command.arg("-cert").arg(certificate("server.pem"));
    command.arg("-key").arg(certificate("server.key"));
    let process = Process::start_command(&mut command, &site.path().join("s_server.log")).unwrap();
    let listens = || async { TcpStream::connect(at).await.ok() };
    eventually("OpenSSL's server listens", Duration::from_secs(30), listens).await;
    (at, process)
}

/// The table.
pub(super) fn all(targets: &Targets) -> Vec<Case> {
    let parts = [statuses(targets), hangs(targets), https(targets), tcp(targets), others(targets)];
    parts.concat()
}

fn statuses(t: &Targets) -> Vec<Case> {
    let ok = "expect: ['json.status == \"healthy\"']";
    let not_ok = "expect: ['json.status == \"ok\"']";
    let login = |password: &str| {
        let module = format!("basic_auth: {{username: ann, password: {password}}}");
        (module, format!(", auth: {{user: ann, password: {password}}}"))
    };
    let (right, wrong) = (login("hunter2"), login("hunter3"));
    vec![
        Case::http("HTTP 200", t.url("status/200")),
        Case::http("HTTP 204", t.url("status/204")),
        Case::http("HTTP 304", t.url("status/304")).differs("down", "up ok", REDIRECTS),
        Case::http_with(
            "HTTP 304, expecting 2xx",
            t.url("status/304"),
            "",
            ("", ", expect: ['status >= 200 && status < 300']"),
        )
        .down("down status"),
        Case::http("HTTP 404", t.url("status/404")).down("down status"),
        Case::http_with(
            "HTTP 404, as expected",
            t.url("status/404"),
            "valid_status_codes: [404]",
            ("", ", expect: ['status == 404']"),
        ),
        Case::http("HTTP 503", t.url("status/503")).down("down status"),
        Case::http("a redirect to what is good", t.url("to/json")),
        Case::http("a redirect to what is broken", t.url("to/status/503")).down("down status"),
        Case::http("a redirect to itself", t.url("loop")).down("down protocol"),
        Case::http("7 redirects", t.url("chain/7")).differs("up", "down protocol", HOPS),
        Case::http_with("10 redirects of 10", t.url("chain/10"), "", (", redirects: 10", "")),
        Case::http_with("11 redirects of 10", t.url("chain/11"), "", (", redirects: 10", ""))
            .down("down protocol"),
        Case::http_with(
            "a redirect that is not followed",
            t.url("to/json"),
            "follow_redirects: false",
            (", redirects: 0", ""),
        )
        .differs("down", "up ok", REDIRECTS),
        Case::http_with(
            "a redirect that is not followed, as expected",
            t.url("to/json"),
            "follow_redirects: false, valid_status_codes: [302]",
            (", redirects: 0", ", expect: ['status == 302']"),
        ),
        Case::http_with(
            "a body as expected",
            t.url("json"),
            "fail_if_body_not_matches_regexp: ['\"status\":\"healthy\"']",
            ("", &format!(", {ok}")),
        ),
        Case::http_with(
            "another body",
            t.url("json"),
            "fail_if_body_not_matches_regexp: ['\"status\":\"ok\"']",
            ("", &format!(", {not_ok}")),
        )
        .down("down expect"),
        Case::http_with(
            "a header as expected",
            t.url("json"),
            "fail_if_header_not_matches: [{header: X-Shop, regexp: ^open$}]",
            ("", ", expect: ['headers[\"x-shop\"] == \"open\"']"),
        ),
        Case::http_with(
            "no such header",
            t.url("status/200"),
            "fail_if_header_not_matches: [{header: X-Shop, regexp: ^open$}]",
            ("", ", expect: ['headers[\"x-shop\"] == \"open\"']"),
        )
        .down("down expect"),
        Case::http_with("a login", t.url("login"), &right.0, (&right.1, "")),
        Case::http_with("a wrong password", t.url("login"), &wrong.0, (&wrong.1, ""))
            .down("down status"),
        Case::http_with(
            "another version of HTTP",
            t.url("status/200"),
            "valid_http_versions: [HTTP/2.0]",
            ("", ", expect: ['version == \"2\"']"),
        )
        .down("down expect"),
        Case::http_with(
            "no TLS where TLS is expected",
            t.url("status/200"),
            "fail_if_not_ssl: true",
            ("", ", expect: ['tls != \"\"']"),
        )
        .down("down expect"),
    ]
}

fn hangs(t: &Targets) -> Vec<Case> {
    let whole = "fail_if_body_matches_regexp: [error], body_size_limit: 128KB";
    vec![
        Case::http("slow, and in time", t.url("slow/300")),
        Case::http("slow, and too late", t.url("slow/5000")).hangs(),
        Case::http("nobody takes the connection", format!("http://{}/", t.crowded)).hangs(),
        Case::http("nothing is answered", t.url("hang/first_byte")).hangs(),
        Case::http("a head that drips", t.url("hang/head")).hangs(),
        Case::http("a body that drips", t.url("hang/body")).hangs(),
        Case::http("a body without end", t.url("endless")).differs("down", "up ok", ENDLESS),
        Case::http_with(
            "a body without end, all of which matters",
            t.url("endless"),
            whole,
            (", max_body: 128KB", ", expect: ['!body.contains(\"error\")']"),
        )
        .down("down too_large"),
        Case::http("a body that is cut off", t.url("cut")).down("down reset"),
        Case::http("closed without an answer", t.url("close")).down("down reset"),
        Case::http("no HTTP", t.url("banner")).down("down protocol"),
        Case::http("nobody listens", format!("http://{}/", t.gone)).down("down connect"),
    ]
}

fn https(t: &Targets) -> Vec<Case> {
    let ca = certificate("ca.pem");
    let theirs = format!("tls_config: {{ca_file: {}}}", ca.display());
    let ours = format!(", tls: {{ca: {}}}", ca.display());
    let at = |what, at: SocketAddr| {
        let url = format!("https://{at}/status/200");
        Case::http_with(what, url, &theirs, (&ours, ""))
    };
    let unverified = ("tls_config: {insecure_skip_verify: true}", ", tls: {verify: false}");
    let by_tcp = format!("tls: true, {}", unverified.0);
    let keys = format!("tls: {{host: '{}'{}}}", t.expired, unverified.1);
    vec![
        at("TLS", t.good),
        at("TLS, an expired certificate", t.expired).down("down certificate"),
        at("TLS, another's certificate", t.other).down("down certificate"),
        Case::http("TLS, nobody's certificate", format!("https://{}/status/200", t.good))
            .down("down certificate"),
        Case::http_with(
            "TLS, an expired certificate, not verified",
            format!("https://{}/status/200", t.expired),
            unverified.0,
            (unverified.1, ""),
        ),
        at("TLS 1.1", t.old).down("down tls"),
        at("TLS is never agreed on", t.silent).hangs(),
        at("no TLS", t.ssh).down("down tls"),
        Case::tcp("TLS by TCP, expired and not verified", t.expired, &by_tcp, unverified.1),
        Case::new("TLS alone, expired and not verified", t.expired, ("tcp", &by_tcp), keys)
            .differs("up", "down certificate", SHOWN),
    ]
}

fn tcp(t: &Targets) -> Vec<Case> {
    let asked = |line: &str, awaited: &str| {
        let theirs = format!("query_response: [{{send: {line}}}, {{expect: '{awaited}'}}]");
        (theirs, format!(", dialog: [{{send: \"{line}\\r\\n\"}}, {{expect: '{awaited}'}}]"))
    };
    let awaited = |line: &str| {
        let theirs = format!("query_response: [{{expect: '{line}'}}]");
        (theirs, format!(", dialog: [{{expect: '{line}'}}]"))
    };
    let case = |what, at, (theirs, ours): (String, String)| Case::tcp(what, at, &theirs, &ours);
    let ca = certificate("ca.pem");
    let mail = format!(
        "tls_config: {{ca_file: {}}}, query_response: [{{expect: '^220 '}}, {{send: EHLO prober}}, \
         {{expect: '^250 STARTTLS'}}, {{send: STARTTLS}}, {{expect: '^220'}}, {{starttls: true}}]",
        ca.display()
    );
    let starttls = format!(", starttls: smtp, tls: {{ca: {}}}", ca.display());
    let mail = |what, at| Case::tcp(what, at, &mail, &starttls);
    vec![
        Case::tcp("an open port", t.redis, "", ""),
        Case::tcp("a closed port", t.gone, "", "").down("down connect"),
        Case::tcp("a port nobody takes", t.crowded, "", "").hangs(),
        Case::tcp("an open port that says nothing", t.silent, "", ""),
        case("nothing is said, and something awaited", t.silent, awaited("^SSH-2.0-")).hangs(),
        case("a banner", t.ssh, awaited("^SSH-2.0-")),
        case("another banner", t.ssh, awaited("^220 ")).hangs(),
        case("a question and its answer", t.redis, asked("PING", "^\\+PONG")),
        case("another answer, and the end", t.redis, asked("QUIT", "^\\+PONG")).down("down expect"),
        mail("STARTTLS", t.mail[0]),
        mail("STARTTLS is refused", t.mail[1]).down("down tls"),
        mail("STARTTLS, and a line somebody added", t.mail[2]).differs("up", "down tls", INJECTED),
    ]
}

fn others(t: &Targets) -> Vec<Case> {
    let has = |address: &str| {
        let theirs = format!(
            ", validate_answer_rrs: {{fail_if_none_matches_regexp: ['A\\s+{}$']}}",
            address.replace('.', "\\.")
        );
        (theirs, format!(", expect: ['answers.exists(a, a == \"{address}\")']"))
    };
    let (right, wrong) = (has("10.0.0.2"), has("10.0.0.9"));
    let none =
        (", valid_rcodes: [NXDOMAIN]", ", expect: ['rcode == \"NXDOMAIN\"', 'size(answers) == 0']");
    let usual = ("", "");
    let dns = |what, name, more| Case::dns(what, t.names, name, more);
    let echo = |what, host: &str| {
        Case::new(what, host, ("icmp", ""), format!("icmp: {{host: {host}}}")).may_be_forbidden()
    };
    vec![
        dns("DNS", "shop", usual),
        dns("DNS, the right address", "shop", (&right.0, &right.1)),
        dns("DNS, another address", "shop", (&wrong.0, &wrong.1)).down("down expect"),
        dns("DNS, NXDOMAIN", "gone", usual).down("down status"),
        dns("DNS, NXDOMAIN, as expected", "gone", none),
        dns("DNS, SERVFAIL", "broken", usual).down("down status"),
        dns("DNS, no such record", "empty", usual).differs("up", "down expect", EMPTY),
        dns("DNS, no such record, as expected", "empty", ("", ", expect: ['size(answers) >= 0']")),
        dns("DNS, too long for UDP", "long", (&right.0, &right.1)).differs("down", "up ok", CUT),
        dns("DNS, silence", "silent", usual).hangs(),
        Case::grpc("gRPC, the whole server", t.health, ""),
        Case::grpc("gRPC, a service that serves", t.health, "shop.Orders"),
        Case::grpc("gRPC, one that does not", t.health, "shop.Stopping").down("down status"),
        Case::grpc("gRPC, one that is not known", t.health, "shop.Gone").down("down status"),
        Case::grpc("gRPC, no health service", t.no_health, "").down("down status"),
        Case::grpc("gRPC, nobody listens", t.gone, "").down("down connect"),
        Case::grpc("gRPC, no gRPC", t.ssh, "").down("down protocol"),
        echo("an echo of this machine", "127.0.0.1"),
    ]
}
