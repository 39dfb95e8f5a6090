"""The REST API and its typed client. Nothing here trains or predicts: Dagster and the gateway are asked over HTTP, the ledger directly."""
