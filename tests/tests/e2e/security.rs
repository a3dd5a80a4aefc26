//! TLS and tokens: who may deliver, who may read, and what nobody may.

use std::process::Command;
use std::time::Duration;

use watchkeeper_tests::harness::{LogWriter, Site, eventually};

/// A certificate of its own authority for 127.0.0.1.
pub(super) fn certificate(site: &Site) -> bool {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(site.path())
        .output();
    output.is_ok_and(|o| o.status.success())
}

fn sha256(text: &str) -> String {
    let command = format!("printf %s '{text}' | sha256sum | cut -d' ' -f1");
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The status of a request, by curl as a person would ask; 0 if there was no answer.
fn ask(site: &Site, path: &str, token: Option<&str>, more: &[&str]) -> u16 {
    let url = format!("https://127.0.0.1:{}{path}", site.port);
    let mut curl = Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5", "--cacert", "cert.pem"])
        .args(more);
    if let Some(token) = token {
        curl.args(["-H", &format!("Authorization: Bearer {token}")]);
    }
    let output = curl.arg(url).current_dir(site.path()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).parse().unwrap_or(0)
}

fn configure(site: &Site, agent_token: &str) {
    let tokens: Vec<String> = [("agents", "agent"), ("readers", "viewer"), ("people", "operator")]
        .iter()
        .map(|(name, role)| {
            format!("{{name: {name}, role: {role}, hash: {}}}", sha256(&format!("{name}-secret")))
        })
        .collect();
    let collector = format!(
        "collector:\n  listen: 127.0.0.1:{}\n  data_dir: {}\n  tls: {{cert: cert.pem, key: key.pem}}\n  tokens: [{}]\n",
        site.port,
        site.path().join("collector").display(),
        tokens.join(", ")
    );
    std::fs::write(site.path().join("collector.yaml"), collector).unwrap();
    let agent = format!(
        "agent: {{id: web-1, data_dir: {}, admin: '127.0.0.1:{}'}}\n\
         collector:\n  grpc: {{endpoint: 'https://127.0.0.1:{}', token: {agent_token}, tls: {{ca: cert.pem}}}}\n\
         sources:\n  - tail: {{service: shop, paths: ['{}'], start_at: beginning, format: json, signals: [{{name: requests, labels: {{status: status}}}}]}}\n",
        site.path().join("agent").display(),
        site.admin_port,
        site.port,
        site.logs().join("*.log").display(),
    );
    std::fs::write(site.path().join("agent.yaml"), agent).unwrap();
}

#[tokio::test]
async fn only_who_has_the_right_token_may_deliver_or_read() {
    let mut site = Site::new("").unwrap();
    assert!(certificate(&site), "openssl is needed to make a certificate");
    configure(&site, "wrong-secret");
    // Ready is asked with curl here: the harness speaks no TLS.
    site.start_collector(&["--log-json"]).await.unwrap();
    let ready = || async { (ask(&site, "/readyz", None, &[]) == 200).then_some(()) };
    eventually("the collector is ready", Duration::from_secs(20), ready).await;
    let query = "/api/v1/query?signal=requests&stat=count";
    for (sentence, path, token, more, status) in [
        ("nobody reads without a token", query, None, &[][..], 401),
        ("nor with a wrong one", query, Some("nonsense"), &[], 401),
        ("an agent's token does not read", query, Some("agents-secret"), &[], 403),
        ("a reader reads", query, Some("readers-secret"), &[], 200),
        (
            "but changes nothing",
            "/api/v1/alerts/0123456789abcdef/ack",
            Some("readers-secret"),
            &["-X", "POST", "-d", "{}"],
            403,
        ),
        ("pages are for readers too", "/", None, &[], 401),
        ("whether it lives may be asked by anybody", "/healthz", None, &[], 200),
    ] {
        assert_eq!(ask(&site, path, token, more), status, "{sentence}");
    }
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    let refused = || async { site.agent.as_ref()?.log().contains("may not deliver").then_some(()) };
    eventually("the agent is told why", Duration::from_secs(20), refused).await;
    site.agent.as_mut().unwrap().kill();
    configure(&site, "agents-secret");
    site.start_agent(&[]).unwrap();
    let counted = || async {
        let arguments =
            ["-s", "--cacert", "cert.pem", "-H", "Authorization: Bearer readers-secret"];
        let url = format!("https://127.0.0.1:{}{query}", site.port);
        let output =
            Command::new("curl").args(arguments).arg(url).current_dir(site.path()).output().ok()?;
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        (answer["series"][0]["points"][0][1] == 1).then_some(())
    };
    eventually("the line is counted over TLS", Duration::from_secs(20), counted).await;
    for log in [site.agent.as_ref().unwrap().log(), site.collector.as_ref().unwrap().log()] {
        assert!(!log.contains("-secret"), "a token stands in a log:\n{log}");
    }
}
