// A Telegram chat is bound by a link that is opened in Telegram, not by a form.
import { html, useState } from "../html.js";
import { integrationPath, post } from "../api.js";
import { t } from "../i18n.js";
import { useAction } from "../load.js";
import { Busy, Copy, Failure, Notice, Said, When } from "../ui.js";
import { Tested, useTest } from "./tested.js";

// isBound says that a chat is bound to the integration.
export const isBound = (integration) => Boolean(integration.parameters.chat_id);

export function TelegramLink({ integration, reload, test }) {
	const [link, setLink] = useState(null);
	const [bind, binding] = useAction(async () =>
		setLink((await post(integrationPath(integration.id, "/telegram-link"))).body),
	);
	const tests = useTest(test);
	const bound = isBound(integration);
	if (integration.missing)
		return html`
			<fieldset>
				<legend>${t("telegram.title")}</legend>
				<p class="help"><${Said} text=${integration.missing} /></p>
			</fieldset>
		`;
	return html`
		<fieldset>
			<legend>${t("telegram.title")}</legend>
			<p class="help">${t(bound ? "telegram.bound" : "telegram.unbound")}</p>
			${binding.error &&
			html`
				<${Failure} error=${binding.error} />
			`}
			${link &&
			html`
				<${Notice}>
					<p><a href=${link.group_url} target="_blank" rel="noreferrer">${t("telegram.group")}</a></p>
					<p><a href=${link.private_url} target="_blank" rel="noreferrer">${t("telegram.private")}</a></p>
					<p>
						${t("telegram.command")}${" "}
						<code>${link.command}</code>
						${" "}
						<${Copy} text=${link.command}>${t("action.copy")}<//>
					</p>
					<p class="muted">
						${t("telegram.until")}${" "}
						<${When} at=${link.expires_at} exact />
					</p>
					<p><button type="button" class="quiet" onClick=${reload}>${t("telegram.look")}</button></p>
				<//>
			`}
			<div class="buttons start">
				<button type="button" disabled=${binding.busy} onClick=${bind}>
					<${Busy} on=${binding.busy}>${t(bound ? "telegram.rebind" : "telegram.bind")}<//>
				</button>
				${bound &&
				html`
					<button type="button" aria-disabled=${tests.busy ? "true" : undefined} onClick=${tests.run}>
						<${Busy} on=${tests.busy}>${t("form.test")}<//>
					</button>
				`}
			</div>
			${tests.error &&
			html`
				<${Failure} error=${tests.error} />
			`}
			<${Tested} of=${tests} />
		</fieldset>
	`;
}
