// What to do when a system says that its receiver does not exist any more: the cycles go on, and disabling spares them.
import { html, useState } from "../html.js";
import { get, integrationPath } from "../api.js";
import { t } from "../i18n.js";
import { Notice, Said, When } from "../ui.js";
import { Disable } from "./switch.js";

// Gone says so and offers to disable the integration.
export function Gone({ integration, attempt, done }) {
	const [asking, ask] = useState(false);
	return html`
		<${Notice} kind="warn">
			<p>
				<strong>${t("gone.title")}</strong>
				${" "}
				<${When} at=${attempt.at} />
				:${" "}
				<${Said} text=${attempt.reason || ""} />
			</p>
			<p>${t("gone.what")}</p>
			<p><button type="button" onClick=${() => ask(true)}>${t("integration.disable")}</button></p>
		<//>
		${asking &&
		html`
			<${Disable} integration=${integration} onClose=${() => ask(false)} done=${done} />
		`}
	`;
}

// isGone tells whether what was answered is true of the parameters of today.
export const isGone = (integration, attempt) =>
	Boolean(attempt) && !(new Date(integration.parameters_at || 0) > new Date(attempt.at));

// lastAttempts finds among an integration's newest deliveries the newest attempt, if its answer was that the receiver is
// gone, and the newest one whose message template made nothing. What it can not read is no reason to show no
// integration.
export async function lastAttempts(id, signal) {
	try {
		const { items } = (await get(integrationPath(id, "/deliveries"), { signal, query: { limit: 20 } })).body;
		const attempts = items.flatMap((d) => d.attempts);
		const newest = (list) => list.reduce((a, b) => (a && a.at > b.at ? a : b), null);
		const last = newest(attempts);
		return { gone: last?.gone ? last : null, fellBack: newest(attempts.filter((a) => a.fell_back)) };
	} catch (error) {
		if (signal?.aborted) throw error;
		return {};
	}
}
