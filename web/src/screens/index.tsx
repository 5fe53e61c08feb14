/** The screen that is asked for. */

import { useApp } from "../app";
import { SlopeScreen } from "./slope";
import { OpenScreen } from "./open";
import { LimitScreen } from "./limit";
import { WalkScreen } from "./walk";
import { LandscapeScreen } from "./landscape";
import { FoundScreen } from "./found";
import { FitScreen } from "./fit";
import { ManyScreen } from "./many";
import { LiveScreen } from "./live";

const TABLE: Record<string, () => any> = {
  open: OpenScreen,
  slope: SlopeScreen,
  limit: LimitScreen,
  walk: WalkScreen,
  landscape: LandscapeScreen,
  found: FoundScreen,
  fit: FitScreen,
  many: ManyScreen,
  live: LiveScreen,
};

export function ScreenOf() {
  const app = useApp();
  const Chosen = TABLE[app.screen.value] ?? SlopeScreen;
  return <Chosen key={app.screen.value} />;
}
