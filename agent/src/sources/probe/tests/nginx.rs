//! Probing a real nginx by TLS, HTTP/1.1 and 2, with and without a certificate of our own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use watchkeeper_agent_core::probe::Reason;

use super::scene::{Attempts, attempt, testdata, told};

/// An nginx of our own; it ends with the test.
struct Nginx {
    child: Child,
    port: u16,
    _root: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Started with this inside `server {…}`; `None` if there is none here, which fails where `CI` is set.
fn nginx(server: &str) -> Option<Nginx> {
    let places = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"];
    let Some(program) = places.into_iter().find(|place| Path::new(place).exists()) else {
        assert!(std::env::var_os("CI").is_none(), "nginx is missing");
        println!("left out: nginx is missing");
        return None;
    };
    let root = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = root.path().display();
    let (certificate, key, ca) =
        (testdata("server.pem"), testdata("server.key"), testdata("ca.pem"));
    let text = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
         events {{}}\nhttp {{\n\
         client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
         uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; access_log off;\n\
         server {{ listen 127.0.0.1:{port} ssl http2; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {}; ssl_certificate_key {};\n\
         ssl_client_certificate {}; {server} location / {{ default_type application/json; return 200 '{{\"ok\":true,\"host\":\"$host\"}}'; }} }} }}\n",
        certificate.display(),
        key.display(),
        ca.display(),
    );
    let config = root.path().join("nginx.conf");
    std::fs::write(&config, text).unwrap();
    let child = Command::new(program)
        .arg("-c")
        .arg(&config)
        .args(["-e", root.path().join("start.log").to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let nginx = Nginx { child, port, _root: root };
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nginx does not listen");
        std::thread::yield_now();
    }
    Some(nginx)
}

#[tokio::test]
async fn a_real_server_is_asked_in_both_versions_by_tls() {
    let Some(server) = nginx("") else { return };
    let ca = testdata("ca.pem");
    for (version, spoken) in [("", "2"), (", version: '1.1'", "1.1"), (", version: '2'", "2")] {
        let keys = format!(
            "http: {{url: 'https://localhost:{}/', headers: {{host: shop.test}}, tls: {{ca: {}}}{version}}}, timeout: 10s, \
             expect: ['json.host == \"shop.test\"', 'version == \"{spoken}\"', 'json.ok', 'tls == \"1.3\"', 'certificate.days > 365.0', \
             'certificate.subject == \"CN=localhost\"', 'certificate.is_trusted']",
            server.port,
            ca.display()
        );
        let found = attempt(&keys).await;
        assert_eq!(found.judged.reason, Reason::Ok, "{version}: {}", found.judged.why);
        let phases: Vec<_> = found.phases.iter().map(|(phase, _)| *phase).collect();
        assert_eq!(phases, ["dns", "connect", "tls", "first_byte"]);
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_ours() {
    let Some(server) = nginx("ssl_verify_client on;") else { return };
    let (ca, cert, key) = (testdata("ca.pem"), testdata("client.pem"), testdata("client.key"));
    let (ca, cert, key) = (ca.display(), cert.display(), key.display());
    let url = format!("https://127.0.0.1:{}/", server.port);
    let with = format!("http: {{url: '{url}', tls: {{ca: {ca}, cert: {cert}, key: {key}}}}}");
    assert_eq!(told(&with).await, (Reason::Ok, "it answers as expected".to_owned()));
    let (reason, why) = told(&format!("http: {{url: '{url}', tls: {{ca: {ca}}}}}")).await;
    assert_eq!(reason, Reason::Status, "{why}");
}

#[tokio::test]
async fn the_certificate_of_a_connection_that_was_kept_is_still_known() {
    let Some(server) = nginx("") else { return };
    let ca = testdata("ca.pem");
    let mut attempts = Attempts::of(&format!(
        "http: {{url: 'https://127.0.0.1:{}/', reuse: true, tls: {{ca: {}}}}}, \
         expect: ['certificate.expires_in > duration(\"14d\")', 'tls == \"1.3\"']",
        server.port,
        ca.display()
    ));
    for n in 0..3 {
        let found = attempts.next().await;
        assert_eq!(found.judged.reason, Reason::Ok, "{}", found.judged.why);
        assert!(found.expires_in.is_some());
        let connects = found.phases.iter().any(|(phase, _)| *phase == "connect");
        assert_eq!(connects, n == 0, "{:?}", found.phases);
    }
}
