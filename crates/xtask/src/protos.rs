//! The protos: in form, and still what released clients were built from.

use crate::checkout::Checkout;

/// What was released last: compiled, without comments. From then on protos only grow.
const RELEASED: &str = "proto/released.binpb";

/// Fails on protos that are out of form, or on which a client of the released ones would break.
pub(crate) fn check(checkout: &Checkout) -> anyhow::Result<()> {
    buf(checkout, &["lint", "proto"])?;
    buf(checkout, &["format", "--diff", "--exit-code", "proto"])?;
    buf(checkout, &["breaking", "proto", "--against", RELEASED])
}

/// Notes what they are now as released.
pub(crate) fn release(checkout: &Checkout) -> anyhow::Result<()> {
    check(checkout)?;
    buf(checkout, &["build", "proto", "--exclude-source-info", "-o", RELEASED])
}

fn buf(checkout: &Checkout, args: &[&str]) -> anyhow::Result<()> {
    let buf = checkout.parts().buf(&checkout.interrupt)?;
    checkout.interrupt.run(checkout.command(&buf).args(args))
}
