// What to do when a system says that its receiver does not exist any more: the cycles go on, and disabling spares them.
import { html } from "../html.js";
import { get, integrationPath, post } from "../api.js";
import { t } from "../i18n.js";
import { useAction } from "../load.js";
import { Busy, Failure, Notice, Said, When } from "../ui.js";

// Gone says so and offers to disable the integration.
export function Gone({ integration, attempt, done }) {
  const [disable, { busy, error }] = useAction(async () => {
    await post(integrationPath(integration.id, "/disable"));
    await done();
  });
  return html`<${Notice} kind="warn"><p><strong>${t("gone.title")}</strong> <${When} at=${attempt.at} />: <${Said} text=${attempt.reason || ""} /></p><p>${t("gone.what")}</p>
    ${error && html`<${Failure} error=${error} />`}<p><button type="button" disabled=${busy} onClick=${disable}><${Busy} on=${busy}>${t("integration.disable")}<//></button></p><//>`;
}

// lastGone finds the newest attempt of an integration's newest deliveries, if its answer was that the receiver is gone. What it
// can not read is no reason to show no integration.
export async function lastGone(id, signal) {
  try {
    const { items } = (await get(integrationPath(id, "/deliveries"), { signal, query: { limit: 20 } })).body;
    const newest = items.flatMap((d) => d.attempts).reduce((a, b) => (a && a.at > b.at ? a : b), null);
    return newest?.gone ? newest : null;
  } catch (error) {
    if (signal?.aborted) throw error;
    return null;
  }
}
