-- What an ingester learns of a gateway's epochs (core/0014).

grant update (epochs) on gateways to hesper_ingest;
