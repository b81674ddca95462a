// What a form offers when somebody else has changed what it began with. Nothing that was typed is lost without the
// person's word.
import { html } from "../html.js";
import { t } from "../i18n.js";
import { Notice } from "../ui.js";

export const Conflict = ({ what, again, over }) => html`
	<${Notice} kind="warn" role="alert">
		<p>${what}${" "}${t("form.kept")}</p>
		<p class="row wrap">
			${over &&
			html`
				<button type="button" onClick=${over}>${t("form.over")}</button>
			`}
			<button type="button" class="quiet" onClick=${again}>${t("form.reload")}</button>
		</p>
	<//>
`;
