import type { ComponentType } from "preact";
import { Chats } from "./views/chats";
import { HealthView } from "./views/health";
import { IndexView } from "./views/index";
import { ModelsView } from "./views/models";
import { NowView } from "./views/now";
import { PrivacyView } from "./views/privacy";
import { RoutingView } from "./views/routing";
import { SuggestionsView } from "./views/suggestions";
import { TrialView } from "./views/trial";

export interface View {
  name: string;
  title: string;
  shown: ComponentType;
}

export const VIEWS: readonly [View, ...View[]] = [
  { name: "now", title: "Now", shown: NowView },
  { name: "models", title: "Models", shown: ModelsView },
  { name: "routing", title: "Routing", shown: RoutingView },
  { name: "suggestions", title: "Suggestions", shown: SuggestionsView },
  { name: "trial", title: "Trial", shown: TrialView },
  { name: "index", title: "Index", shown: IndexView },
  { name: "privacy", title: "Privacy", shown: PrivacyView },
  { name: "chats", title: "Chats", shown: Chats },
  { name: "health", title: "Health", shown: HealthView },
];
