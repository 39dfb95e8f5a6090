"""The questions that Dagster's GraphQL is asked."""

from __future__ import annotations

_RUN = "runId jobName status creationTime startTime endTime tags { key value }"
_FACTS = """metadataEntries { label
  ... on FloatMetadataEntry { floatValue } ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text } }"""

LAUNCH = f"""
mutation Launch($params: ExecutionParams!) {{
  launchRun(executionParams: $params) {{
    __typename
    ... on LaunchRunSuccess {{ run {{ {_RUN} }} }}
    ... on RunConfigValidationInvalid {{ errors {{ message }} }}
    ... on Error {{ message }}
  }}
}}"""

CANCEL = """
mutation Cancel($id: String!) {
  terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) { __typename ... on TerminateRunFailure { message } ... on Error { message } }
}"""

RUN = f"""
query Run($id: ID!) {{
  runOrError(runId: $id) {{ __typename ... on Run {{ {_RUN} assetSelection {{ path }} }} ... on Error {{ message }} }}
}}"""

RUNS = f"""
query Runs($filter: RunsFilter, $cursor: String, $most: Int) {{
  runsOrError(filter: $filter, cursor: $cursor, limit: $most) {{ __typename ... on Runs {{ results {{ {_RUN} }} }} ... on Error {{ message }} }}
}}"""

LOG = f"""
query Log($id: ID!, $after: String, $most: Int!) {{
  logsForRun(runId: $id, afterCursor: $after, limit: $most) {{
    __typename
    ... on EventConnection {{
      cursor hasMore
      events {{
        __typename
        ... on MessageEvent {{ timestamp level stepKey message }}
        ... on ErrorEvent {{ error {{ message }} }}
        ... on ExecutionStepFailureEvent {{ failureMetadata {{ description }} }}
        ... on AssetCheckEvaluationEvent {{ evaluation {{ checkName success }} }}
        ... on ObservationEvent {{ {_FACTS} }}
      }}
    }}
    ... on Error {{ message }}
  }}
  runOrError(runId: $id) {{ __typename ... on Run {{ {_RUN} assetSelection {{ path }} }} ... on Error {{ message }} }}
}}"""

DAEMONS = "query Daemons { instance { daemonHealth { allDaemonStatuses { daemonType lastHeartbeatTime } } } }"

NEWEST = """
query Newest($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys, loadMaterializations: true) {
    assetKey { path }
    assetMaterializations(limit: 1) { timestamp metadataEntries { label ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString } } }
  }
}"""
