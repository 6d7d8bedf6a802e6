//! Streams as they are after a year: the newest events only, here the newest one, and the relay has told all.
//!
//! A stream has room for 256 MiB, a few weeks of these ten million lines; what left it is read from the logs, as by whoever counts a year anew.
//! To publish the year only to drop it again would take NATS longer than all that is measured.

use anyhow::Context;
use async_nats::jetstream::{self, stream};

use crate::events::Logged;

/// Each stream's tail is its relay's cursor.
pub(crate) async fn told(nats_url: &str, newest: &[Logged]) -> anyhow::Result<()> {
    let client = async_nats::connect(nats_url).await?;
    let context = jetstream::new(client);
    for event in newest {
        let source = event.source;
        let name = source.to_ascii_uppercase();
        // Of an earlier run.
        if context.get_stream(&name).await.is_ok() {
            continue;
        }
        let subjects = vec![format!("bramble.{source}.>")];
        // The relay sees to its other settings.
        let config = stream::Config { name, subjects, allow_direct: true, ..Default::default() };
        context.create_stream(config).await.with_context(|| format!("the stream of {source}"))?;
        let subject = format!("bramble.{source}.{}.v1", event.event_type);
        context.publish(subject, placed(event)?.into()).await?.await?;
    }
    Ok(())
}

/// With its place in the log.
fn placed(event: &Logged) -> anyhow::Result<String> {
    let body = event.payload.strip_suffix('}').context("an event is an object")?;
    let (sequence, previous) = (event.sequence, event.sequence - 1);
    Ok(format!("{body},\"sequence\":\"{sequence}\",\"previous\":\"{previous}\"}}"))
}
