use std::time::Duration;

/// Waits for something that will be true soon; panics when it is not in time.
pub async fn eventually(what: &str, patience: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(patience, waiting).await.is_ok(), "not in time: {what}");
}
