use ids::{CustomerId, RefundId};
use log::{Cause, Log, NewEvent, RequestKey};
use money::Money;
use proto::events::v1::RefundIssued;

use crate::{
    BillingError, commands,
    domain::{self, Calendar, CreditMovement, MovementKind, Refund},
    store,
};

#[derive(Debug)]
pub(crate) struct RefundCredit {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) customer_id: CustomerId,
    pub(crate) amount: Money,
    pub(crate) external_reference: String,
}

/// Eleven statements. Locks the customer's account.
#[tracing::instrument(name = "billing.refund_credit", skip_all)]
pub(crate) async fn refund_credit(
    log: &Log,
    calendar: &Calendar,
    command: RefundCredit,
) -> Result<Refund, BillingError> {
    let mut tx = log.begin().await?;
    let customer_id = command.customer_id;
    store::accounts::lock(&mut tx, customer_id).await?;
    let reference = command.external_reference.as_str();
    let earlier = store::refunds::find_by_reference(&mut tx, customer_id, reference).await?;
    let id = earlier.as_ref().map_or_else(RefundId::generate, |earlier| earlier.id);
    // A reference is part of what makes a request the same: one that was answered is found by it, too.
    log::answered(&mut tx, store::SCHEMA, command.request_key.as_ref(), id).await?;
    if let Some(earlier) = earlier {
        if earlier.amount != command.amount {
            return Err(BillingError::RefundDiffers { refund_id: id });
        }
        log.commit(tx).await?;
        return Ok(earlier);
    }

    let mut credits = store::credits::of_customer(&mut tx, customer_id, None).await?;
    let available = domain::available(&credits);
    if command.amount > available {
        return Err(BillingError::CreditShort { customer_id, available });
    }
    let draws = domain::draw(&mut credits, &[(None, command.amount)]);
    let refund = Refund {
        id,
        customer_id,
        external_reference: command.external_reference,
        amount: command.amount,
        refunded_at: store::now(&mut tx).await?,
    };
    store::refunds::insert(&mut tx, &refund).await?;
    let day = calendar.day_of(refund.refunded_at);
    let less = draws.iter().map(|draw| CreditMovement {
        customer_id,
        kind: MovementKind::Refund,
        document_id: id.0,
        source: draw.source,
        day,
        amount: commands::less(draw.amount),
    });
    store::movements::insert_credits(&mut tx, &less.collect::<Vec<_>>()).await?;
    store::credits::take(&mut tx, &draws).await?;
    let data = RefundIssued {
        refund_id: id.to_string(),
        customer_id: customer_id.to_string(),
        amount: Some(rpc::to_money(refund.amount)),
        refund_date: rpc::to_date(day),
    };
    let event = NewEvent::new("refund.issued", id, 1, &data, &command.cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(refund)
}
