//! Probing by HTTP, mostly of servers that do not behave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use watchkeeper_agent_core::probe::{Class, Reason};

use super::scene::{Attempts, acceptor, attempt, head, saying, serve, testdata, told};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"status\":\"healthy\"}";

fn phases(finding: &watchkeeper_agent_core::probe::Finding) -> Vec<&'static str> {
    finding.phases.iter().map(|(phase, _)| *phase).collect()
}

#[tokio::test]
async fn an_answer_as_expected_is_good_and_has_phases() {
    let at = saying(OK).await;
    let keys = format!(
        "http: {{url: 'http://{at}/health'}}, expect: ['status == 200', 'latency < duration(\"2s\")', \
         'json.status == \"healthy\"', 'headers[\"content-type\"].startsWith(\"application/json\")', \
         'body.contains(\"healthy\")', 'version == \"1.1\" && redirects == 0']"
    );
    let found = attempt(&keys).await;
    assert_eq!(found.judged.class, Class::Good, "{}", found.judged.why);
    assert_eq!(phases(&found), ["connect", "first_byte"]);
    assert!(found.took > Duration::ZERO && found.expires_in.is_none());
}

#[tokio::test]
async fn what_does_not_answer_as_it_should_has_its_reason() {
    for (sentence, answer, expect, reason, why) in [
        (
            "an error",
            &b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"[..],
            "",
            Reason::Status,
            "`status >= 200 && status < 400` does not hold: status = 503",
        ),
        (
            "a part of JSON",
            OK,
            "json.status == \"ok\"",
            Reason::Expect,
            "`json.status == \"ok\"` does not hold: json.status = \"healthy\"",
        ),
        (
            "no JSON at all",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "json.a == 1",
            Reason::Expect,
            "`json.a == 1` does not hold: json.a is absent",
        ),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", "", Reason::Protocol, "is no HTTP"),
        ("nothing", b"", "", Reason::Reset, "closed the connection before it had answered"),
        (
            "half an answer",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            "",
            Reason::Reset,
            "broke the connection off",
        ),
        (
            "half a head",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            "",
            Reason::Reset,
            "closed the connection",
        ),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "",
            Reason::Protocol,
            "is no HTTP",
        ),
        (
            "a chunk of no length",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "",
            Reason::Protocol,
            "no HTTP",
        ),
    ] {
        let at = saying(answer).await;
        let expect =
            if expect.is_empty() { String::new() } else { format!(", expect: ['{expect}']") };
        let found = told(&format!("http: {{url: 'http://{at}/'}}{expect}")).await;
        assert_eq!(found.0, reason, "{sentence}: {}", found.1);
        assert!(found.1.contains(why), "{sentence}: {}", found.1);
    }
}

#[tokio::test]
async fn who_does_not_listen_or_has_no_name_has_its_reason() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (reason, why) = told(&format!("http: {{url: 'http://{gone}/'}}")).await;
    assert_eq!((reason, why), (Reason::Connect, format!("{gone} refuses connections")));
    let (reason, why) = told("http: {url: 'http://no-such-name.invalid/'}").await;
    assert!(matches!(reason, Reason::Dns | Reason::Timeout), "{why}");
    // The name is only asked for: this is where it is.
    let at = saying(OK).await;
    let keys = format!("http: {{url: 'http://shop.test:{}/', address: 127.0.0.1}}", at.port());
    assert_eq!(told(&keys).await.0, Reason::Ok);
}

#[tokio::test]
async fn who_never_answers_is_given_up_in_time_and_where_it_hung_is_told() {
    let silent = serve(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let dripping = serve(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    for (url, waited_for) in [
        (format!("http://{silent}/"), "the first byte"),
        (format!("https://{silent}/"), "TLS"),
        (format!("http://{dripping}/"), "the rest of the answer"),
    ] {
        let found = attempt(&format!("http: {{url: '{url}'}}, timeout: 200ms")).await;
        assert_eq!(found.judged.reason, Reason::Timeout);
        assert_eq!(found.judged.why, format!("no answer within 0.2 s: it waited for {waited_for}"));
        assert!(found.took < Duration::from_secs(2), "{:?}", found.took);
    }
}

#[tokio::test]
async fn heads_and_bodies_without_end_are_not_read_to_the_end() {
    let heads = serve(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let line = format!("X-Filler: {}\r\n", "y".repeat(1000));
        for _ in 0..10_000 {
            if stream.write_all(line.as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await;
    let (reason, why) = told(&format!("http: {{url: 'http://{heads}/'}}")).await;
    assert_eq!(reason, Reason::Protocol, "{why}");
    let interim = serve(|mut stream| async move {
        head(&mut stream).await;
        let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        while stream.write_all(&many).await.is_ok() {}
    })
    .await;
    let found = attempt(&format!("http: {{url: 'http://{interim}/'}}, timeout: 9s")).await;
    assert_eq!(found.judged.reason, Reason::Protocol, "{}", found.judged.why);
    assert!(found.judged.why.contains("before the head of the answer"), "{}", found.judged.why);
    let sent = Arc::new(AtomicU32::new(0));
    let counted = sent.clone();
    let bodies = serve(move |mut stream| {
        let sent = counted.clone();
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'z'; 64 << 10]).await.is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await;
    // Its beginning is enough, unless a condition wants all of it.
    let keys = format!("http: {{url: 'http://{bodies}/', max_body: 128KiB}}");
    assert_eq!(told(&keys).await.0, Reason::Ok);
    let keys = format!("{keys}, expect: ['!body.contains(\"error\")']");
    assert_eq!(told(&keys).await.0, Reason::TooLarge);
    assert!(sent.load(Ordering::Relaxed) < 1_000);
}

/// Answers every request, and counts connections and requests.
async fn lasting(asked: Arc<Mutex<Vec<String>>>, close_after: usize) -> std::net::SocketAddr {
    serve(move |mut stream| {
        let asked = asked.clone();
        async move {
            asked.lock().await.push("connected".to_owned());
            for _ in 0..close_after {
                let request = head(&mut stream).await;
                let Some(line) = request.lines().next() else { return };
                asked.lock().await.push(line.to_owned());
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_is_kept_only_if_asked_and_one_that_was_closed_is_no_failure() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let at = lasting(asked.clone(), 2).await;
    for (reuse, connections) in [(false, 4), (true, 2)] {
        asked.lock().await.clear();
        let mut attempts = Attempts::of(&format!("http: {{url: 'http://{at}/', reuse: {reuse}}}"));
        for _ in 0..4 {
            assert_eq!(attempts.next().await.judged.reason, Reason::Ok);
        }
        let asked = asked.lock().await;
        let n = asked.iter().filter(|line| *line == "connected").count();
        assert_eq!((n, asked.len() - n), (connections, 4), "reuse: {reuse}");
    }
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_asked_and_secrets_stay_at_home() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = requests.clone();
    let there = serve(move |mut stream| {
        let requests = kept.clone();
        async move {
            requests.lock().await.push(head(&mut stream).await);
            let _ = stream.write_all(OK).await;
        }
    })
    .await;
    let here = serve(move |mut stream| async move {
        let request = head(&mut stream).await;
        let to =
            if request.contains(" /a ") { "/b".to_owned() } else { format!("http://{there}/c") };
        let to = if request.contains(" /loop ") { "/loop".to_owned() } else { to };
        let status = if request.contains(" /same ") { 307 } else { 302 };
        let answer = format!(
            "HTTP/1.1 {status} Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let secrets = "headers: {x-key: hunter2}, auth: {bearer: hunter2}, body: x, method: POST";
    let keys = format!(
        "http: {{url: 'http://{here}/a', {secrets}}}, expect: ['redirects == 2', 'url.endsWith(\"/c\")']"
    );
    let (reason, why) = told(&keys).await;
    assert_eq!(reason, Reason::Ok, "{why}");
    let request = requests.lock().await.pop().unwrap();
    assert!(request.starts_with("GET /c HTTP/1.1"), "{request}");
    assert!(!request.contains("hunter2"), "{request}");
    let (reason, why) = told(&format!("http: {{url: 'http://{here}/loop'}}")).await;
    assert_eq!((reason, why.as_str()), (Reason::Protocol, "it redirects more than 5 times"));
    let (reason, why) = told(&format!("http: {{url: 'http://{here}/same', {secrets}}}")).await;
    let said = format!("it redirects to http://{there}, where no body is sent");
    assert!(reason == Reason::Unable && why.starts_with(&said), "{why}");
    assert!(requests.lock().await.is_empty(), "the body might be a secret");
    let none = format!("http: {{url: 'http://{here}/a', redirects: 0}}, expect: ['status == 302']");
    assert_eq!(told(&none).await.0, Reason::Ok);
}

#[tokio::test]
async fn a_secret_that_the_server_repeats_is_told_to_nobody() {
    let echo = serve(|mut stream| async move {
        let request = head(&mut stream).await;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{request}",
            request.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    for (secret, hidden) in [
        ("headers: {x-api-key: {env: TOKEN}}", "hunter2"),
        ("auth: {bearer: {env: TOKEN}}", "hunter2"),
        ("auth: {user: ann, password: {env: TOKEN}}", "YW5uOmh1bnRlcjI="),
    ] {
        for expect in ["body == \"\"", "!body.contains(\"GET\")"] {
            let url = format!("http://{echo}/x?key=hunter2hunter2");
            let keys = format!("http: {{url: '{url}', {secret}}}, expect: ['{expect}']");
            let found = attempt(&keys).await;
            let told = format!("{:?}", found.judged);
            assert_eq!(found.judged.reason, Reason::Expect, "{told}");
            assert!(told.contains("***") && !told.contains(hidden), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}

#[tokio::test]
async fn headers_and_logins_are_sent() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let at = lasting(requests.clone(), 1).await;
    let kept = Arc::new(Mutex::new(String::new()));
    let seen = kept.clone();
    let echo = serve(move |mut stream| {
        let seen = seen.clone();
        async move {
            *seen.lock().await = head(&mut stream).await;
            let _ = stream.write_all(OK).await;
        }
    })
    .await;
    let keys = format!(
        "http: {{url: 'http://{echo}/x?q=1', headers: {{Host: shop.example}}, auth: {{user: ann, password: {{env: TOKEN}}}}}}"
    );
    assert_eq!(told(&keys).await.0, Reason::Ok);
    let request = kept.lock().await.to_lowercase();
    for part in [
        "get /x?q=1 http/1.1",
        "host: shop.example",
        "authorization: basic yw5uomh1bnrlcji=",
        "user-agent: watchkeeper/",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    assert_eq!(request.matches("host:").count(), 1, "{request}");
    assert_eq!(told(&format!("http: {{url: 'http://{at}/', method: HEAD}}")).await.0, Reason::Ok);
    assert!(requests.lock().await.contains(&"HEAD / HTTP/1.1".to_owned()));
}

#[tokio::test]
async fn certificates_are_looked_at_and_told_of_also_when_refused() {
    let served = |certificate: &'static str| async move {
        let acceptor = acceptor(certificate, &[]);
        serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                head(&mut stream).await;
                let _ = stream.write_all(OK).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    };
    let ca = testdata("ca.pem");
    let ca = ca.display();
    let trusting = format!("tls: {{ca: {ca}}}");
    for (sentence, certificate, tls, reason, said) in [
        ("trusted", "server", trusting.clone(), Reason::Ok, "as expected"),
        (
            "not trusted",
            "server",
            String::new(),
            Reason::Certificate,
            "the certificate of localhost has an issuer that is not trusted",
        ),
        (
            "expired",
            "expired",
            trusting.clone(),
            Reason::Certificate,
            "the certificate of localhost has expired",
        ),
        (
            "another's",
            "other",
            trusting.clone(),
            Reason::Certificate,
            "the certificate of localhost is for another name",
        ),
        (
            "asked for by another name",
            "other",
            format!("tls: {{ca: {ca}, server_name: other.test}}"),
            Reason::Ok,
            "",
        ),
        ("not verified", "expired", "tls: {verify: false}".to_owned(), Reason::Ok, ""),
    ] {
        let at = served(certificate).await;
        let tls = if tls.is_empty() { tls } else { format!(", {tls}") };
        let found = attempt(&format!(
            "http: {{url: 'https://localhost:{}/', address: 127.0.0.1{tls}}}",
            at.port()
        ))
        .await;
        assert_eq!(found.judged.reason, reason, "{sentence}: {}", found.judged.why);
        assert!(found.judged.why.contains(said), "{sentence}: {}", found.judged.why);
        let expires_in =
            found.expires_in.unwrap_or_else(|| panic!("{sentence}: seen all the same"));
        assert_eq!(expires_in < 0, certificate == "expired", "{sentence}");
    }
    let at = served("expired").await;
    let keys = format!(
        "http: {{url: 'https://{at}/', tls: {{verify: false}}}}, \
         expect: ['certificate.expires_in > duration(\"14d\")', 'certificate.names.exists(n, n == \"localhost\")']"
    );
    let (reason, why) = told(&keys).await;
    assert_eq!(reason, Reason::Certificate, "{why}");
    // No TLS at all.
    let clear = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(told(&format!("http: {{url: 'https://{clear}/'}}")).await.0, Reason::Tls);
}
