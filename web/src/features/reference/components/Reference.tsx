import { useState } from 'react';
import { t } from '@/text/t';
import { narrowed, type Reference as Content } from '../model/reference';
import { OperationCard } from './OperationCard';
import { Prose } from './Prose';
import styles from './Reference.module.css';

const anchor = (name: string) => name.toLowerCase().replace(/\W+/g, '-');

/** The whole API: sections, operations, what they take and answer. */
export function Reference({ content, open }: { readonly content: Content; readonly open: string }) {
  const [words, setWords] = useState('');
  const sections = narrowed(content.sections, words);
  return (
    <div className={styles.page}>
      <aside className={styles.side}>
        <label className={styles.filter}>
          <span className="visually-hidden">{t('docs.filter')}</span>
          <input type="search" value={words} placeholder={t('docs.filter')} onChange={(event) => setWords(event.target.value)} />
        </label>
        <nav aria-label={t('docs.sections')} className={styles.nav}>
          {sections.map(({ name, operations }) => (
            <a key={name} href={`#${anchor(name)}`}>
              {name} <span>{operations.length}</span>
            </a>
          ))}
        </nav>
      </aside>
      <div className={styles.column}>
        <header className={styles.intro}>
          <h1>{t('docs.title')}</h1>
          <p className={styles.links}>
            <span>{t('docs.version', { version: content.version })}</span>
            <a href="/api/openapi.json">{t('docs.download')}</a>
            <a href="/settings#tokens">{t('docs.token')}</a>
          </p>
          <Prose text={content.description} />
        </header>
        {sections.length === 0 && <p role="status">{t('docs.nothing')}</p>}
        {sections.map(({ name, description, operations }) => (
          <section key={name} id={anchor(name)} aria-label={name} className={styles.section}>
            <h2>{name}</h2>
            <p className={styles.hint}>{description}</p>
            {operations.map((operation) => (
              <OperationCard key={operation.id} operation={operation} open={operation.id === open} />
            ))}
          </section>
        ))}
      </div>
    </div>
  );
}
