//! The binary itself, with nothing in its environment but what it is told.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use proto::analytics::v1::{
    GetArAgeingRequest, GetStockSnapshotRequest, QuerySalesByHourRequest,
    analytics_service_client::AnalyticsServiceClient,
};

use testkit::eventually;

use crate::{
    app::{WAIT_MAX, hours, time_text},
    olap::{Olap, ageing, hours_of_sales, stock},
};

/// Half of what it and olap-consumer may have together, the pages of the program's own file among it.
const RESIDENT_MAX_KIB: u64 = 100 << 10;

pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it with more in its environment, and gives its address.
pub(crate) fn start(folder: &str, settings: &[(&str, &str)]) -> (Process, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_analytics-svc"))
        .env_clear()
        .env("BRAMBLE_GRPC_ADDR", "127.0.0.1:0")
        .env("BRAMBLE_HTTP_ADDR", "127.0.0.1:0")
        .env("BRAMBLE_OLAP_DIR", folder)
        // Nothing may depend on where the machine is.
        .env("TZ", "Asia/Kolkata")
        .envs(settings.iter().copied())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let process = Process(child);
    let mut line = String::new();
    while !line.contains("serving") || line.contains("pages") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended before it served");
    }
    // Somebody must go on reading what it says.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let at = line.find("127.0.0.1:").unwrap();
    let address = line[at..].split(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
    (process, format!("http://{}", address.into_iter().next().unwrap()))
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// As an orchestrator does.
    async fn terminate(&mut self) -> std::process::ExitStatus {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let told = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(told.elapsed() < Duration::from_secs(15), "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn it_needs_no_environment_stays_small_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let olap = Olap::new(folder.path());
    let levels: Vec<String> = (0..10_000).map(|sku| format!("SKU-{sku:05}")).collect();
    let levels: Vec<_> = levels.iter().map(|sku| (sku.as_str(), 1, 0)).collect();
    let day = ("2026-07-01T23:30:00Z", ["0.00", "0.00", "0.00", "0.00", "0.01", "0.01"]);
    // Ten years.
    let mut files = olap.files("sales_by_hour", &hours_of_sales(87_660, "12.34", 3));
    files.extend(olap.files("stock_snapshot", &stock("2026-11-24T09:30:00Z", &levels)));
    files.push(olap.file("ar_ageing", &ageing(&[day])));
    olap.publish(1, files);

    let (mut process, url) = start(folder.path().to_str().unwrap(), &[]);
    let channel = rpc::ClientConfig::default().client(&url).unwrap();
    let mut client = AnalyticsServiceClient::new(channel);
    let largest = QuerySalesByHourRequest { page_size: 10_000, ..Default::default() };
    let all = GetStockSnapshotRequest { page_size: 10_000, ..Default::default() };
    for _ in 0..20 {
        let sales = client.query_sales_by_hour(largest.clone()).await.unwrap().into_inner();
        assert_eq!(sales.hours.len(), 10_000);
        assert_eq!(hours(&sales)[0], "2026-01-01T00:00:00Z 12.34 3");
        let stock = client.get_stock_snapshot(all.clone()).await.unwrap().into_inner();
        assert_eq!(stock.levels.len(), 10_000);
        assert_eq!(time_text(stock.snapshot_time), "2026-11-24T09:30:00Z");
        let ageing = client.get_ar_ageing(GetArAgeingRequest::default()).await.unwrap();
        assert_eq!(ageing.into_inner().as_of_date, "2026-07-02", "in London, not where TZ says");
    }
    eventually("it is small again", WAIT_MAX, async || process.resident_kib() < RESIDENT_MAX_KIB)
        .await;
    assert!(process.terminate().await.success());
}
