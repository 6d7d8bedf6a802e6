//! What a server says of its log with the answer to a write.

use std::future::{pending, ready};

use proto::log::v1::RetryDeadLettersRequest;
use rpc::{Server, Written};
use tonic::{Status, metadata::MetadataMap};

use crate::fake::{Running, ask, open_doors, serve_with};

const POSITION: &str = "bramble-position";

async fn with_log(log: impl FnOnce(Server) -> Server) -> Running {
    serve_with(open_doors(), || async { Ok(()) }, log).await
}

async fn write(running: &Running) -> Result<MetadataMap, Status> {
    let request = RetryDeadLettersRequest::default();
    let answer = running.client.clone().retry_dead_letters(request).await?;
    Ok(answer.metadata().clone())
}

#[tokio::test]
async fn it_is_told_with_a_write_that_was_done() {
    let running = with_log(|server| server.log_end("orders", || ready(Some(42)))).await;
    assert_eq!(write(&running).await.unwrap().get(POSITION).unwrap(), "orders=42");
    let read = running.client.clone().list_events(ask(None)).await.unwrap();
    assert!(read.metadata().get(POSITION).is_none());

    let refuse = || async { Err(Status::failed_precondition("no")) };
    let log = |server: Server| server.log_end("orders", || ready(Some(42)));
    let refused = write(&serve_with(open_doors(), refuse, log).await).await.unwrap_err();
    assert!(refused.metadata().get(POSITION).is_none());
}

#[tokio::test]
async fn it_is_the_last_event_that_the_write_has_committed() {
    let log = |server: Server| server.log_end("orders", || ready(Some(42)));
    let twice = || async {
        for sequence in [7, 9] {
            Written::begin();
            Written::append(sequence);
            Written::commit();
        }
        // Undone: nobody may wait for it.
        Written::begin();
        Written::append(11);
        Ok(())
    };
    let running = serve_with(open_doors(), twice, log).await;
    assert_eq!(write(&running).await.unwrap().get(POSITION).unwrap(), "orders=9");

    // What is answered is perhaps behind it.
    let by_others = || async {
        Written::commit_of(9);
        Written::by_others();
        Ok(())
    };
    let running = serve_with(open_doors(), by_others, log).await;
    assert_eq!(write(&running).await.unwrap().get(POSITION).unwrap(), "orders=42");

    let undone = || async {
        Written::append(11);
        Written::begin();
        Written::commit();
        Ok(())
    };
    let running = serve_with(open_doors(), undone, log).await;
    assert_eq!(write(&running).await.unwrap().get(POSITION).unwrap(), "orders=42");
}

#[tokio::test]
async fn a_write_is_answered_though_nobody_knows_where_the_log_ends() {
    for running in [
        with_log(|server| server).await,
        with_log(|server| server.log_end("orders", || ready(None))).await,
        with_log(|server| server.log_end("orders", pending)).await,
    ] {
        assert!(write(&running).await.unwrap().get(POSITION).is_none());
    }
}
