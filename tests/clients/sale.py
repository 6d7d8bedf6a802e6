"""Sells something over gRPC, knowing nothing but what the services' reflection tells: `sale.py ORDERS INVENTORY`, each as host:port.

Prints the order as JSON.
"""

import sys
import uuid

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


class Service:
    """A service, found by reflection."""

    def __init__(self, address, name):
        self.channel = grpc.insecure_channel(address)
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.descriptor = pool.FindServiceByName(name)

    def call(self, method, **fields):
        method = self.descriptor.FindMethodByName(method)
        request = json_format.ParseDict(fields, GetMessageClass(method.input_type)())
        answer = self.channel.unary_unary(
            f"/{self.descriptor.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(request, timeout=30)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)


def main(orders, inventory):
    orders = Service(orders, "bramble.orders.v1.OrdersService")
    inventory = Service(inventory, "bramble.inventory.v1.InventoryService")
    sku = f"PY-{uuid.uuid4().hex[:8]}"
    inventory.call("CreateProduct", sku=sku, name="Pie", price={"amount": "3.14"})
    inventory.call("ReceiveStock", sku=sku, quantity=5)
    email = f"{uuid.uuid4().hex}@example.com"
    customer = orders.call("CreateCustomer", name="Monty", email=email)["customer"]
    order = orders.call(
        "CreateOrder",
        request_id=str(uuid.uuid4()),
        customer_id=customer["customer_id"],
        lines=[{"sku": sku, "quantity": 2}],
        place=True,
    )["order"]
    print(json_format.json.dumps(order))
    try:
        orders.call("CreateOrder", customer_id="nobody", lines=[])
    except grpc.RpcError as refusal:
        assert refusal.code() == grpc.StatusCode.INVALID_ARGUMENT, refusal
        assert "customer_id" in refusal.details() and "lines" in refusal.details(), refusal
    else:
        sys.exit("bad fields were taken")


if __name__ == "__main__":
    main(*sys.argv[1:])
