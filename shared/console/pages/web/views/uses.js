// What uses an integration: the triggers that notify it, and the reports that it is sent.
import { html } from "../html.js";
import { get, integrationPath, may } from "../api.js";
import { list, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { Pill, View } from "../ui.js";

export const useUses = (id) =>
	useLoad(`uses ${id}`, async (signal) => (await get(integrationPath(id, "/uses"), { signal })).body);

// reportsOf are the names of reports in a list.
export const reportsOf = (uses) => list(uses.reports.map((r) => t(`profile.${r}`)));

const User = ({ user: u }) => html`
	<li>
		<a href=${`/triggers/${u.id}`}>${u.name}</a>
		${" "}
		<${Pill} kind=${u.enabled ? "ok" : "off"} icon=${u.enabled ? "check" : "pause"}>
			${t(u.enabled ? "state.enabled" : "state.disabled")}
		<//>
	</li>
`;

export function Uses({ integration: i }) {
	const load = useUses(i.id);
	return html`
		<section class="panel uses" aria-label=${t("uses.title")}>
			<h2>${t("uses.title")}</h2>
			<${View} load=${load} count="2">
				${(uses) => html`
					${uses.triggers.length
						? html`
								<ul>
									${uses.triggers.map(
										(u) => html`
											<${User} key=${u.id} user=${u} />
										`,
									)}
								</ul>
							`
						: html`
								<p class="muted">${t("uses.none")}</p>
							`}
					${uses.fallback_of.length > 0 &&
					html`
						<p class="muted">${t("uses.fallback")}</p>
						<ul>
							${uses.fallback_of.map(
								(o) => html`
									<li key=${o.id}><a href=${`/integrations/${o.id}`}>${o.name}</a></li>
								`,
							)}
						</ul>
					`}
					${uses.reports.length > 0 &&
					html`
						<p class="muted">${t("uses.reports", { names: reportsOf(uses) })}</p>
					`}
					${may("triggers") &&
					html`
						<p>
							<a href="/triggers/add">
								<${Icon} name="plus" size="16" />
								${t("trigger.add")}
							</a>
						</p>
					`}
				`}
			<//>
		</section>
	`;
}
