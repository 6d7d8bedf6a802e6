use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use proto::orders::v1::{
    BatchCreateCustomersRequest, CreateCustomerRequest, orders_service_client::OrdersServiceClient,
};

use super::{
    batches::Batch,
    calls::{Calls, Failure},
    check::Check,
};

pub(crate) const COLUMNS: [&str; 4] = ["customer_ref", "name", "email", "phone"];

/// Which customer a `customer_ref` of the files is.
pub(crate) type CustomerIds = HashMap<String, String>;

pub(crate) struct Customers {
    calls: Calls,
    orders: OrdersServiceClient<rpc::Client>,
    ids: Mutex<CustomerIds>,
}

#[derive(Debug, Clone)]
pub(crate) struct Customer {
    customer_ref: String,
    request: CreateCustomerRequest,
}

impl Customers {
    pub(crate) fn new(calls: Calls, orders: OrdersServiceClient<rpc::Client>) -> Self {
        Self { calls, orders, ids: Mutex::default() }
    }

    /// Of the customers that were accepted.
    pub(crate) fn into_ids(self) -> CustomerIds {
        self.ids.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch for Customers {
    type Item = Customer;

    fn read(&self, check: &mut Check<'_>) -> Option<Self::Item> {
        Some(Customer {
            customer_ref: check.text("customer_ref", 1, 255),
            request: CreateCustomerRequest {
                request_id: String::new(),
                name: check.text("name", 1, 255),
                email: check.email("email"),
                phone: check.text("phone", 0, 50),
                metadata: None,
            },
        })
    }

    fn keys(&self, item: &Self::Item) -> Vec<(&'static str, String)> {
        let email = item.request.email.to_lowercase();
        vec![("customer_ref", item.customer_ref.clone()), ("email", email)]
    }

    async fn send(&self, items: Vec<Self::Item>) -> Result<(), Failure> {
        let requests = items.iter().map(|item| item.request.clone()).collect();
        let request = BatchCreateCustomersRequest { requests };
        let call = async || self.orders.clone().batch_create_customers(request.clone()).await;
        let answer = self.calls.patiently("orders-svc", call).await?;
        if answer.customers.len() != items.len() {
            self.calls.stop("orders-svc has answered with another number of customers");
            return Err(Failure::Stopped);
        }
        let ids = answer.customers.into_iter().map(|customer| customer.customer_id);
        let refs = items.into_iter().map(|item| item.customer_ref);
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).extend(refs.zip(ids));
        Ok(())
    }
}
