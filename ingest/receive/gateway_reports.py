"""Reports and replies of gateways into the store: the last of each, and its history."""

from typing import Any

import psycopg
import structlog
from psycopg import Connection

from ingest.mqtt.inbox import Delivery
from store.gateways.downlink import GatewayReply, keep_reply
from store.gateways.health_message import keep_hour
from store.gateways.status import set_health, set_state
from telemetry.topics import Kind, Topic, TopicError
from telemetry.wire import GatewayStatus, Health, Reply, WireError, decode, encode, from_milliseconds

_REPLY = f"/{Kind.REPLY.value}"

log = structlog.get_logger(__name__)


def note(connection: Connection[Any], delivery: Delivery) -> bool:
    """Keep a status, health or reply message; False for one that cannot be used, which is only logged.

    The next one replaces it, or what was asked is asked again, so nothing is lost by that. Raises
    psycopg.Error where the database fails.
    """
    try:
        with connection.transaction():
            known = _keep(connection, delivery)
    except (TopicError, WireError, psycopg.DataError) as error:
        log.warning("unusable report of a gateway", topic=delivery.topic, reason=str(error))
        return False
    if not known and delivery.topic.endswith(_REPLY):
        log.info("reply to what nobody here has asked", topic=delivery.topic)
    elif not known:
        log.warning("report of a gateway that is not registered", topic=delivery.topic)
    return known


def waits_for_us(delivery: Delivery) -> Topic | None:
    """The ack topic of a gateway that was online before we listened; `delivery` is one that `note` kept.

    What such a gateway sent meanwhile went to nobody, or to an ingester that died with it: brokers confirm
    what they have no receiver for.
    """
    topic = Topic.parse(delivery.topic)
    if not delivery.retained or topic.kind is not Kind.STATUS:
        return None
    online = decode(delivery.payload, GatewayStatus).state == "online"
    return Topic(topic.utility, topic.gateway, Kind.ACK) if online else None


def _keep(connection: Connection[Any], delivery: Delivery) -> bool:
    topic = Topic.parse(delivery.topic)
    if topic.kind is Kind.STATUS:
        status = decode(delivery.payload, GatewayStatus)
        at = from_milliseconds(status.at)
        return set_state(connection, topic.utility, topic.gateway, status.state, at)
    if topic.kind is Kind.REPLY:
        told = decode(delivery.payload, Reply)
        answer = GatewayReply(told.id, from_milliseconds(told.at), told.state, told.detail, told.result)
        return keep_reply(connection, topic.utility, topic.gateway, answer)
    health = decode(delivery.payload, Health)
    at = from_milliseconds(health.at)
    known = set_health(connection, topic.utility, topic.gateway, encode(health).decode(), at)
    if known:
        keep_hour(connection, topic.utility, topic.gateway, health)
    return known
