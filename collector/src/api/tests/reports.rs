//! Reports in each of their forms.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;
use watchkeeper_model::Timestamp;

use super::stage::{AT, Api, api, reported};
use crate::store::tests::parts::NOW;
use crate::store::{SloIncrement, WindowsCommit};

/// What SLOs counted in five-minute buckets after `NOW`.
pub(super) async fn count(api: &Api, counts: &[(&str, &str, i64, u64, u64)]) {
    let gain = |(slo, service, bucket, good, bad): &(&str, &str, i64, u64, u64)| SloIncrement {
        slo: (*slo).to_owned(),
        definition: reported(slo, service).definition(),
        bucket: Timestamp::from_secs(NOW + bucket * 300),
        good: *good,
        total: good + bad,
        unjudged: 2,
        estimated: 0,
    };
    let slo = counts.iter().map(gain).collect();
    api.store.commit_windows(WindowsCommit { slo, ..WindowsCommit::default() }).await.unwrap();
}

#[tokio::test]
async fn a_report_has_the_counts_of_its_period_in_the_form_asked_for() {
    let api = api();
    let of_shop = |bucket, good, bad| ("shop-availability", "shop", bucket, good, bad);
    count(&api, &[of_shop(-1, 100, 0), of_shop(0, 85, 15), of_shop(1, 100, 0)]).await;
    // Its edges are rounded outward: a minute after the beginning counts the whole bucket. The weekly correction of the
    // configuration is at another time.
    let asked = format!("/api/v1/reports?service=shop&from={}&to={}", NOW + 60, NOW + 240);
    let report = api.ok(&asked).await;
    let edges = (&report["from"], &report["to"], &report["complete"]);
    assert_eq!(edges, (&json!(AT), &json!("2026-11-01T00:05:00Z"), &json!(false)));
    let [service] = report["services"].as_array().unwrap().as_slice() else { panic!("{report}") };
    let slo = &service["slos"][0];
    assert_eq!(
        (&slo["good"], &slo["total"], &slo["unjudged"]),
        (&json!(85), &json!(100), &json!(2))
    );
    assert_eq!((&slo["result"], &slo["budget"]["allowed"]), (&json!("missed"), &json!(10)));
    assert_eq!(
        (&slo["budget"]["words"], &slo["data_from"]),
        (&json!("50.0 % overspent"), &Value::Null)
    );

    let all = format!("/api/v1/reports?from={}&to={}", NOW - 600, NOW + 600);
    let report = api.ok(&all).await;
    let names: Vec<_> =
        report["services"].as_array().unwrap().iter().map(|s| &s["service"]).collect();
    assert_eq!(names, ["shop", "db"]);
    let slo = &report["services"][0]["slos"][0];
    assert_eq!((&slo["total"], &slo["data_from"]), (&json!(300), &json!("2026-10-31T23:55:00Z")));

    for (format, kind, begins) in [
        ("markdown", "text/markdown; charset=utf-8", "# Error budget of shop-availability, "),
        ("html", "text/html; charset=utf-8", "<!doctype html>"),
        ("json", "application/json", "{\"from\":"),
    ] {
        let request = Request::get(format!("{asked}&format={format}")).body(Body::empty()).unwrap();
        let response = api.router.clone().oneshot(request).await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["content-type"], kind);
        assert!(
            headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'")
        );
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.starts_with(begins), "{text}");
    }
}
