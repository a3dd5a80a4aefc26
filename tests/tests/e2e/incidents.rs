//! What was opened at receivers that remember is updated and closed in its place: PagerDuty and Slack's app.

use std::time::Duration;

use watchkeeper_tests::fakes::slack_app::Message;
use watchkeeper_tests::fakes::{PagerDuty, SlackApp};
use watchkeeper_tests::harness::{LogWriter, Site, Totals, eventually};

const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
const TOKEN: &str = "xoxb-1234-5678";
const LIMIT: Duration = Duration::from_secs(60);

/// A collector with an SLO over ten minutes, and its receivers.
struct Scene {
    pagerduty: PagerDuty,
    slack: SlackApp,
    site: Site,
    log: LogWriter,
}

impl Scene {
    async fn start(repeat_interval: &str) -> Self {
        let pagerduty = PagerDuty::start(&[ROUTING_KEY]).await.unwrap();
        let slack = SlackApp::start(TOKEN, &["alerts"]).await.unwrap();
        let sections = format!(
            "slos:\n  - name: shop-availability\n    service: shop\n    signal: requests\n    good: 'int(status) < 500'\n\
             \x20   objective: 99\n    window: 10m\n    annotations: {{summary: the shop is failing}}\n\
             alerting:\n  global: {{pagerduty_url: '{}', slack_app_token: {TOKEN}, slack_app_url: '{}'}}\n\
             \x20 route: {{receiver: oncall, group_by: [service, alertname], group_wait: 0s, group_interval: 1s, repeat_interval: {repeat_interval}}}\n\
             \x20 receivers:\n    - name: oncall\n      pagerduty_configs: [{{routing_key: {ROUTING_KEY}}}]\n\
             \x20     slack_configs: [{{channel: '#alerts'}}]\n",
            pagerduty.receiver.url("/v2/enqueue"),
            slack.url(),
        );
        let site = Site::running(&sections).await.unwrap();
        let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
        for _ in 0..50 {
            log.line(200, 12.5).unwrap();
        }
        site.wait_counted(&Totals::from([("200".into(), 50)]), LIMIT).await;
        Self { pagerduty, slack, site, log }
    }

    /// Writes such lines until it is so.
    async fn write_until(&mut self, status: u16, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        while !is_so(self) {
            assert!(tokio::time::Instant::now() < deadline, "after {LIMIT:?} not yet: {what}");
            self.log.line(status, 12.5).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn message(&self) -> Option<Message> {
        self.slack.messages().first().cloned()
    }

    /// The lines of the thread, and whether each shows in the channel too.
    fn thread(&self) -> Vec<(bool, String)> {
        let thread = self.message().map(|message| self.slack.thread(&message.ts));
        let line = |message: &Message| {
            (message.is_broadcast, message.content["text"].as_str().unwrap_or_default().to_owned())
        };
        thread.unwrap_or_default().iter().map(line).collect()
    }

    /// Both say that it is a page.
    fn is_page(&self) -> bool {
        let incidents = self.pagerduty.incidents();
        let severity = incidents.first().map(|it| it.says["payload"]["severity"].clone());
        let color = self.message().map(|it| it.content["attachments"][0]["color"].clone());
        severity.is_some_and(|it| it == "critical") && color.is_some_and(|it| it == "#d32f2f")
    }

    fn is_over(&self) -> bool {
        let color = |message: &Message| message.content["attachments"][0]["color"] == "#2e7d32";
        let is_told = self.thread().last().is_some_and(|(_, line)| line.contains("Resolved"));
        let incidents = self.pagerduty.incidents();
        self.message().as_ref().is_some_and(color)
            && is_told
            && incidents.iter().all(|incident| incident.is_resolved)
    }

    fn is_over_everywhere(&self) -> bool {
        let incidents = self.pagerduty.incidents();
        let last = self.slack.messages().last().cloned();
        last.is_some_and(|m| m.content["attachments"][0]["color"] == "#2e7d32")
            && !incidents.is_empty()
            && incidents.iter().all(|incident| incident.is_resolved)
    }

    /// Deliveries of that kind in the ledger that went through.
    async fn n_delivered(&self, action: &str) -> usize {
        let Ok(answer) = self.site.api("deliveries?limit=1000").await else { return 0 };
        let deliveries = answer["deliveries"].as_array().cloned().unwrap_or_default();
        deliveries.iter().filter(|d| d["action"] == action && d["outcome"] == "ok").count()
    }

    async fn wait_delivered(&self, action: &str) {
        let both = || async { (self.n_delivered(action).await == 2).then_some(()) };
        eventually(&format!("both have been told to {action}"), LIMIT, both).await;
    }

    /// One incident at each, opened and closed.
    async fn assert_closed_once(&self) {
        self.wait_delivered("close").await;
        assert_eq!(self.n_delivered("open").await, 2, "opened once each");
        let incidents = self.pagerduty.incidents();
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        assert!(incidents[0].is_resolved && self.pagerduty.n_dropped() == 0);
        assert_eq!(self.slack.messages().len(), 1, "{:?}", self.slack.messages());
        let log = std::fs::read_to_string(self.site.path().join("collector.log")).unwrap();
        assert!(!log.contains(ROUTING_KEY) && !log.contains(TOKEN), "a secret is in the log");
    }
}

#[tokio::test]
async fn a_page_is_one_incident_and_one_message_that_is_kept_up_to_date() {
    let mut scene = Scene::start("2s").await;
    // It may begin as a ticket: the first bad lines are few. Then it is a page, and a reminder follows.
    let is_reminded = |scene: &Scene| {
        scene.thread().iter().any(|(_, line)| line.contains("Still firing")) && scene.is_page()
    };
    scene.write_until(500, "a reminder of a page", is_reminded).await;
    assert!(scene.thread().iter().all(|(is_loud, _)| *is_loud), "{:?}", scene.thread());
    let says = scene.pagerduty.incidents().remove(0).says;
    assert_eq!(says["payload"]["component"], "shop");
    assert_eq!(says["payload"]["source"], "web-1");
    scene.write_until(200, "the end", Scene::is_over).await;
    scene.assert_closed_once().await;
    assert!(scene.pagerduty.incidents()[0].n_more >= 1, "the reminder is added to the incident");
    assert!(scene.message().unwrap().n_edits >= 2);
    assert!(!scene.thread().last().unwrap().0, "the end is told quietly");
}

#[tokio::test]
async fn a_collector_that_is_killed_finds_its_message_again() {
    let mut scene = Scene::start("1h").await;
    scene.write_until(500, "a page", |scene| scene.message().is_some()).await;
    scene.wait_delivered("open").await;
    assert_eq!(scene.message().unwrap().n_edits, 0);
    scene.site.collector.as_mut().unwrap().kill();
    scene.site.start_collector(&[]).await.unwrap();
    scene.write_until(200, "the end", Scene::is_over).await;
    scene.assert_closed_once().await;
    assert!(scene.message().unwrap().n_edits >= 1);
}

#[tokio::test]
async fn kills_at_any_moment_leave_one_incident_that_is_closed() {
    let mut scene = Scene::start("1s").await;
    for (n, status) in [500, 500, 500, 500, 200, 200].into_iter().enumerate() {
        // Lines go on while it is dead, and for a little longer after each start.
        for _ in 0..4 + 5 * n {
            scene.log.line(status, 12.5).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        scene.site.collector.as_mut().unwrap().kill();
        scene.log.line(status, 12.5).unwrap();
        scene.site.start_collector(&[]).await.unwrap();
    }
    scene.write_until(200, "the end", Scene::is_over_everywhere).await;
    let incidents = scene.pagerduty.incidents();
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
}
