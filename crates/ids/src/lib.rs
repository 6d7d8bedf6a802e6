//! One newtype per kind of key, so that a customer's key cannot be passed where an order's is due.

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// A new, time-ordered key: neighbours in time are neighbours in the index.
            #[must_use]
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

id! {
    /// A customer, owned by orders-svc.
    CustomerId,
    /// An order, owned by orders-svc.
    OrderId,
    /// A line of an order, owned by orders-svc.
    OrderItemId,
    /// A shipment of an order, owned by orders-svc.
    ShipmentId,
    /// Goods of an order that came back, owned by orders-svc.
    ReturnId,
    /// An invoice, owned by billing-svc.
    InvoiceId,
    /// A payment, owned by billing-svc.
    PaymentId,
    /// A credit note, owned by billing-svc.
    CreditNoteId,
    /// Credit that paid invoices, owned by billing-svc.
    CreditAllocationId,
    /// Credit that was paid back, owned by billing-svc.
    RefundId,
    /// Somebody who works here, owned by hr-svc.
    EmployeeId,
    /// The wages of a group for a month, owned by hr-svc.
    PayrollRunId,
    /// What one person gets by a run, owned by hr-svc.
    PayslipId,
    /// A journal of the books, owned by ledger-svc.
    JournalId,
}
