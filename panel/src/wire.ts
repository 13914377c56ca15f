/** The answers of the server's API, as docs/panel.md has them. null is unknown. */

export interface Job {
  id: string;
  kind: string;
  title: string;
  about: string;
  state: "running" | "done" | "failed" | "stopped";
  step: string;
  done: number;
  total: number | null;
  unit: string;
  started: number;
  ended: number | null;
  result: unknown;
  error: { message: string; hint: string } | null;
}

export interface RoleNow {
  role: string;
  provider: string;
  model: string;
  local: boolean;
  others: { provider: string; why: string }[];
}

export interface ModelNow {
  provider: string;
  model: string;
  role: string;
  bytes: number;
  loaded: boolean;
  why: string;
  context_tokens: number | null;
  context_used: number | null;
}

export interface RequestNow {
  id: string;
  method: string;
  what: string;
  uri: string;
  provider: string;
  model: string;
  situation: string;
  prompt_tokens: number | null;
  evaluated_tokens: number | null;
  reused_tokens: number | null;
  generated_tokens: number | null;
  total_ms: number | null;
  stages: Record<string, number>;
  shown: boolean;
  reason: string;
  sentence: string;
  advice: string;
  included: { path: string; kind: string; tokens: number }[];
}

export interface Running {
  id: number;
  task: string;
  provider: string;
  model: string;
  local: boolean;
  phase: string;
  share: number | null;
  tokens: number | null;
  seconds: number;
}

export interface Answering {
  paused: boolean;
  state: string;
  detail: string;
  progress: number | null;
  roles: RoleNow[];
  models: ModelNow[];
  last: { reason: string; sentence: string; advice: string } | null;
  index: {
    state: string;
    detail: string;
    done: number;
    total: number;
    files: number | null;
    chunks: number | null;
    vectors: number | null;
  } | null;
  running: Running[];
  spent: Record<string, { evaluated: number; reused: number; generated: number }>;
  speed: { read: number | null; write: number | null };
  breakers: { provider: string; state: string; why: string }[];
  requests: RequestNow[];
}

/** A running server; what it is doing is absent while it does not answer. */
export interface Server extends Partial<Answering> {
  id: string;
  kind: string;
  client: string;
  pid: number;
  started: number;
  version: string;
  workspace: string;
  folders: string[];
  error: string;
}

export interface Now {
  servers: Server[];
  together: {
    servers: number;
    loaded_bytes: number;
    running: number;
    evaluated: number;
    reused: number;
    generated: number;
  };
}

export interface Model {
  name: string;
  title: string;
  licence: string;
  roles: string[];
  context: number | null;
  parameters_m: number | null;
  quantisation: string;
  note: string;
  origin: string;
  bytes: number | null;
  memory_mb: number | null;
  installed: boolean;
  used_for: string[];
  problem: string | null;
  /** The file of the LoRA adapter that changes it, "" without one. */
  adapter: string;
  hub_only: boolean;
  mirrored: boolean;
  partial: { done: number; total: number | null } | null;
  job: string | null;
  here: { fits: boolean; in_time_for: string[]; tokens_per_second: number | null } | null;
  measured: Measured | null;
  suggestions: { offered: number; taken: number; saved: number } | null;
}

export interface Measured {
  at: number;
  read: number | null;
  write: number | null;
  load_ms: number | null;
  exact: number | null;
  cases: number | null;
}

export interface Models {
  machine: {
    memory: number;
    cores: number;
    free_disk: number;
    gpu: string;
    budget: number;
    words: string;
  };
  folder: string;
  default: string;
  problems: string[];
  hub: string;
  models: Model[];
  advice: {
    role: string;
    model: string;
    installed: boolean;
    memory_mb: number | null;
    reason: string;
    otherwise: string | null;
  }[];
}

export interface ModelPick {
  name: string;
  title: string;
  about: string;
  current: boolean;
  recommended: boolean;
  missing: boolean;
  refused: string;
}

export interface PickGroup {
  provider: string;
  title: string;
  local: boolean;
  problem: string;
  models: ModelPick[];
}

export interface Picks {
  roles: { role: string; does: string; provider: string; model: string; local: boolean }[];
  role: string;
  groups: PickGroup[];
}

export interface Repository {
  repo: string;
  downloads: number | null;
  likes: number | null;
  licence: string;
  updated: string;
  gated: boolean;
}

export interface HubFile {
  file: string;
  bytes: number | null;
  quantisation: string;
  memory_mb: number | null;
  fits: boolean | null;
}

export interface Endpoint {
  name: string;
  kind: string;
  model: string;
  base_url: string;
  local: boolean;
  in_settings: boolean;
  key: string;
  options: Record<string, unknown>;
  error: string;
  breakers: { server: string; state: string; why: string }[];
}

export interface RoleRoute {
  role: string;
  listed: string[] | null;
  provider: string;
  model: string;
  local: boolean;
  candidates: { provider: string; serves: boolean; why: string }[];
}

export interface SettingProblem {
  source: string;
  key: string;
  wrong: string;
  used: string;
}

export interface Routing {
  workspace: string;
  strategy: string;
  roles: RoleRoute[];
  endpoints: Endpoint[];
  kinds: { kind: string; preset: string; usual_url: string; words: string }[];
  role_names: string[];
  task_names: string[];
  limits: Record<string, number>;
  problems: SettingProblem[];
}

export interface Explained {
  role: string;
  rule: string | null;
  is_complex: boolean;
  why: string;
  turns: {
    provider: string;
    model: string;
    is_local: boolean;
    use: string;
    bytes: number | null;
    redactions: Record<string, number> | number | null;
    price: string | null;
  }[];
  left_out: [string, string][];
}

export interface Setting {
  key: string;
  section: string;
  value: unknown;
  default: unknown;
  source: string;
  set: boolean;
  doc: string;
  form: { kind: string; choices?: string[]; min?: number; max?: number };
  named: boolean;
}

export interface Settings {
  config: string;
  settings: Setting[];
  problems: SettingProblem[];
}

export interface Fared {
  key: string;
  questions: number;
  offered: number;
  accepted: number;
  partly: number;
  acceptance: number | null;
  saved: number;
  survived: number | null;
}

export interface Reason {
  reason: string;
  count: number;
  sentence: string;
  advice: string;
}

export interface Bin {
  from: number;
  to: number;
  offered: number;
  taken: number;
  saved: number;
  hidden: number;
}

export interface Suggestions {
  days: number;
  recording: boolean;
  records: number;
  /** Records that are not counted yet. */
  behind: number;
  totals: Omit<Fared, "key"> & { evaluated: number; reused: number; generated: number };
  by_day: Fared[];
  by_language: Fared[];
  by_situation: Fared[];
  by_model: Fared[];
  latency: { situation: string; answers: number; p50: number; p90: number; p99: number }[];
  silent: Reason[];
  next_edits: {
    questions: number;
    offered: number;
    answered: number;
    silent: Reason[];
    stages: { stage: string; p50: number; p90: number; p99: number }[];
  };
  curve: { min_confidence: number; default: number; bins: Bin[] };
}

export interface TrialArm {
  model: string;
  /** As the settings name it. */
  value: string;
  document_days: number;
  requests: number;
  shown: number;
  taken: number;
  acceptance: number | null;
  kept: number | null;
  saved: number;
  p50_ms: number | null;
  p90_ms: number | null;
  stand_ins: number;
}

/** The second model's share less the first's. */
export interface Interval {
  difference: number;
  low: number;
  high: number;
}

export interface Trial {
  running: boolean;
  started: number;
  ended: number | null;
  why: string;
  days: number;
  days_left: number;
  words: string;
  better: string;
  arms: TrialArm[];
  interval: Interval | null;
}

export interface Trials {
  recording: boolean;
  current: string;
  others: string[];
  trial: Trial | null;
}

export interface IndexFolder {
  root: string;
  where: string;
  exists: boolean;
  files: number | null;
  chunks: number | null;
  definitions: number | null;
  vectors: number | null;
  source_bytes: number | null;
  index_bytes: number | null;
  changed: number | null;
  languages: { language: string; files: number }[];
  skipped: { reason: string; count: number }[];
  servers: string[];
  state: string;
  detail: string;
  paused: boolean;
  enabled: boolean;
  shared: string | null;
  problem: string;
}

export interface Hit {
  path: string;
  line: number;
  end_line: number;
  kind: string;
  symbol: string;
  language: string;
  score: number;
  text: string;
  why: { part: string; score: number; words: string }[];
}

export interface LedgerEntry {
  id: number;
  at: number;
  workspace: string;
  provider: string;
  model: string;
  destination: string;
  task: string;
  files: { path: string; start: number | null; end: number | null }[];
  bytes: number;
  redactions: Record<string, number>;
  tokens_in: number | null;
  tokens_out: number | null;
  price: string | null;
  outcome: string;
}

export interface Consent {
  workspace: string;
  provider: string;
  destination: string;
  consent: string;
  at: number;
}

export interface Privacy {
  local_only: boolean;
  strategy: string;
  entries: LedgerEntry[];
  more: boolean;
  count: number;
  consent: Consent[];
  spend: {
    today: string;
    today_unknown: number;
    month: string;
    month_unknown: number;
    days: {
      day: string;
      provider: string;
      model: string;
      requests: number;
      dollars: string;
      unknown: number;
    }[];
    models: {
      provider: string;
      model: string;
      local: boolean;
      requests: number;
      tokens_in: number;
      tokens_out: number;
      price: string | null;
      unknown: number;
    }[];
    saved: string | null;
    compare_with: string;
    share_local: number | null;
  };
  budget: Record<string, number>;
}

export interface ChatHead {
  id: string;
  title: string;
  workspace: string;
  begun: number;
  changed: number;
  count: number;
  keep_days: number;
}

export interface Chat extends ChatHead {
  exchanges: { question: string; answer: string; model: string; calls: [string, string][] }[];
  calls: {
    at: number;
    function: string;
    arguments: unknown;
    allowed: unknown;
    outcome: string;
    bytes: number | null;
  }[];
}

export interface Check {
  name: string;
  state: "ok" | "note" | "problem";
  found: string;
  todo: string;
  remedy: { title: string; post: string; body: unknown } | null;
}

export interface Health {
  checks: Check[];
  at: number | null;
  job: string | null;
}

export interface LogOfServer {
  id: string;
  client: string;
  lines: { at: number; level: string; name: string; text: string }[];
}
