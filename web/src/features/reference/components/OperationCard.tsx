import { useState } from 'react';
import { Button } from '@/components/Button';
import { t } from '@/text/t';
import type { Answer, Field, Operation } from '../model/reference';
import { Prose, Words } from './Prose';
import styles from './Reference.module.css';

/** One operation; its details open below its line. */
export function OperationCard({ operation, open }: { readonly operation: Operation; readonly open: boolean }) {
  const { id, method, path, summary, description, parameters, fields, answers, curl } = operation;
  return (
    <details className={styles.card} id={id} open={open}>
      <summary className={styles.line}>
        <span className={`${styles.method} ${styles[method.toLowerCase()] ?? ''}`}>{method}</span>
        <code className={styles.path}>{path}</code>
        <span className={styles.summary}>
          <Words text={summary} />
        </span>
      </summary>
      <div className={styles.detail}>
        <div className={styles.facts}>
          <Prose text={description} />
          <Who operation={operation} />
          <Fields title={t('docs.parameters')} fields={parameters} />
          <Fields title={t('docs.body')} fields={fields} />
          <h4>{t('docs.answers')}</h4>
          <ul className={styles.answers}>
            {answers.map((answer) => (
              <li key={answer.status}>
                <AnswerLine answer={answer} />
              </li>
            ))}
          </ul>
        </div>
        <Sample title="curl" text={curl} />
      </div>
    </details>
  );
}

function Who({ operation: { everybody, session, scopes } }: { readonly operation: Operation }) {
  return (
    <p className={styles.who}>
      {everybody && <span>{t('docs.who.everybody')}</span>}
      {session && <span>{t('docs.who.session')}</span>}
      {scopes !== null && (
        <span>{scopes.length === 0 ? t('docs.who.anyToken') : t('docs.who.token', { scopes: scopes.join(', ') })}</span>
      )}
    </p>
  );
}

function Fields({ title, fields }: { readonly title: string; readonly fields: readonly Field[] }) {
  if (fields.length === 0) return null;
  return (
    <>
      <h4>{title}</h4>
      <dl className={styles.fields}>
        {fields.map(({ name, type, description, required }) => (
          <div key={name}>
            <dt>
              <code>{name}</code> <span className={styles.type}>{type}</span>
              {required && <span className={styles.required}>{t('docs.required')}</span>}
            </dt>
            <dd>
              <Prose text={description} />
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function AnswerLine({ answer: { status, description, problems, example } }: { readonly answer: Answer }) {
  const good = status < '400';
  return (
    <>
      <span className={`${styles.status} ${good ? styles.good : styles.bad}`}>{status}</span>
      <div className={styles.answer}>
        {problems.length === 0 && <Prose text={description} />}
        {problems.length > 0 && (
          <ul className={styles.problems}>
            {problems.map(({ kind, detail }) => (
              <li key={kind}>
                <code>{kind}</code> {detail}
              </li>
            ))}
          </ul>
        )}
        {example !== '' && <Sample title={t('docs.example')} text={example} />}
      </div>
    </>
  );
}

function Sample({ title, text }: { readonly title: string; readonly text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <figure className={styles.sample}>
      <figcaption>
        {title}
        <Button look="quiet" onClick={() => void copy().catch(() => setCopied(false))}>
          {t(copied ? 'common.copied' : 'common.copy')}
        </Button>
      </figcaption>
      <pre tabIndex={0}>{text}</pre>
    </figure>
  );
}
